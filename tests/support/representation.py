"""A small set on which the stages around the representation ran one after another."""

from pathlib import Path

from stages import augment_edge_cases, embed, find_edge_cases, train_encoder
from tests.support.datasets import CLASSES, make_dataset
from tests.support.inputs import competition_inputs
from tests.support.profiles import ENSEMBLE, FINETUNE, HEAD, NETWORK, profile
from winnow.augmentation.edge_cases import Rule
from winnow.augmentation.policy import Policy, Step
from winnow.pipeline.files import write_json
from winnow.representation.contrastive import Contrast
from winnow.transforms.views import Ranges

ENCODERS = train_encoder.Params(
    seed=0,
    retrain=True,
    dataset="cleanse_influence/dataset",
    space="contrast",
    contrast=Contrast(loss="margin", margin=1.0, temperature=0.1, dimensions=8, training=NETWORK),
)
EDGES = find_edge_cases.Params(
    by="plane", seed=0, profile=profile(epochs=1), rule=Rule(k=3, agreement=0.5, quantile=0.5)
)
COPIES = augment_edge_cases.Params(
    seed=0,
    multiple=2.0,
    copies=12,
    inverted_share=0.9,
    affine=Ranges(rotate_degrees=10.0, shift=0.08, zoom=0.1, shear=0.0),
)
REFUSED = CLASSES[1]  # inversion ruins its label, says the policy
POLICY = Policy(("invert",), ((Step("invert", 1.0, 1.0),),), {"invert": {REFUSED: 0.0}})
MOST = 36  # images in train and val


def make_representation(folder: Path) -> Path:
    """Everything from the edge cases to the embedding of a small set, in one folder."""
    dataset = make_dataset(folder / "set", {"train": 20, "val": 6, "label_book": 3})  # 7, 7 and 6
    edges, augmented, encoders = folder / "edges.parquet", folder / "augmented", folder / "encoders"
    policy = folder / "policy.json"
    write_json(policy, POLICY.to_json())
    seen = competition_inputs(folder, "model", "pixels", "features")
    drawn = competition_inputs(folder, "model", "pixels", "user")
    whole = seen | drawn
    judged = {name: folder / "none.parquet" for name in ("classes", "embeddings")}  # by plane they have no say
    find_edge_cases.main(EDGES, dataset=dataset, edge_cases=edges, sheet=folder / "edges.png", **judged, **seen)
    given = {"dataset": dataset, "edge_cases": edges, "policy": policy}
    augment_edge_cases.main(COPIES, MOST, 20, **given, augmented=augmented, **drawn)
    train_encoder.main(
        ENCODERS, ENSEMBLE, HEAD, FINETUNE, dataset=augmented, networks=folder / "none", encoders=encoders, **whole
    )
    embed.main(
        embed.Params(seed=0, neighbours=4),
        8,
        dataset=augmented,
        encoders=encoders,
        embeddings=folder / "embeddings.parquet",
        neighbours=folder / "neighbours.parquet",
        classes=folder / "classes.parquet",
        planted=folder / "planted.parquet",
        **whole,
    )
    return folder
