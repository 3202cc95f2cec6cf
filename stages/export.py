"""Write a dataset as folders of PNGs, for any trainer that reads one folder per class.

Reads   --dataset  dataset: train, val and others, with its ledger
Writes  --export   folder: train/<class>/<id>.png, val/<class>/<id>.png, and manifest.parquet: one row per file, id,
                    name, label, given label, origin, parent, and the last verdict on it
Params  judge.max_images

A dataset with more images than the judge allows is rejected, as its arm is: what is exported is what was judged.
The manifest lies beside train and val, where neither torchvision's ImageFolder nor Hugging Face's imagefolder looks.
A class whose name is no safe folder name is called class_<index>; the manifest has both.
"""

from pathlib import Path

from winnow.dataset.images import stored_images
from winnow.dataset.samples import column, train_and_val
from winnow.export import manifest, missing_classes
from winnow.pipeline.files import fresh_folder, write_bytes, write_table
from winnow.pipeline.messages import shown
from winnow.pipeline.stage import Sections, run_stage
from winnow.verdicts.ledger import read_ledger


def main(max_images: int, *, dataset: Path, export: Path) -> None:
    """Run the stage on the files given."""
    samples = train_and_val(dataset, max_images=max_images)
    splits = column(samples, "split")
    listed = manifest(samples, read_ledger(dataset))
    root = fresh_folder(export)
    for folder in sorted({Path(file).parent for file in listed["file"].to_pylist()}):
        (root / folder).mkdir(parents=True)
    images = stored_images(dataset, listed["id"].to_pylist())
    for file, identifier in zip(listed["file"].to_pylist(), listed["id"].to_pylist(), strict=True):
        write_bytes(root / file, images[identifier])
    write_table(root / "manifest.parquet", listed)  # last, so that a folder with a manifest is a whole export
    pairs = zip(listed["label"].to_pylist(), listed["folder"].to_pylist(), strict=True)
    renamed = sorted({label for label, folder in pairs if label != folder})
    print(
        f"export: {(splits == 'train').sum()} train and {(splits == 'val').sum()} val images in {export}; "
        f"{len(renamed)} classes under another folder name{': ' if renamed else ''}"
        f"{', '.join(shown(name) for name in renamed[:3])}"
    )
    for split, name in missing_classes(samples):
        print(
            f"export: warning: {split} has no image of class {shown(name)}; give its loader the other's class numbers"
        )


SECTIONS: Sections = {"max_images": ("judge.max_images", int)}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS)
