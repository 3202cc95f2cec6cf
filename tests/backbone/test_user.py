import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.backbones import batch, card_of, write_module
from winnow.backbone.loading import demand_files, load_backbone
from winnow.pipeline.messages import UserError


def test_last_linear_layer_is_the_head(tmp_path: Path) -> None:
    write_module(
        tmp_path,
        "net_linear",
        """
        from torch import nn
        def build():
            body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
            return nn.Sequential(body, nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2), nn.Softmax(1))
        """,
    )
    path = list(sys.path)
    backbone = load_backbone(card_of("python:net_linear:build"), user_folder=tmp_path)
    assert sys.path == path
    x = batch(2)
    assert backbone.dimensions == 6
    network: Any = backbone.network
    assert torch.equal(backbone.features(x), network[2](network[1](network[0](x))))


@pytest.mark.parametrize(("pooled", "package"), [(True, False), (False, True)])
def test_method_features_comes_first_and_maps_are_averaged(pooled: bool, package: bool, tmp_path: Path) -> None:
    name = f"net_method_{pooled}"
    folder = tmp_path / name if package else tmp_path
    folder.mkdir(exist_ok=True)
    source = f"""
        from torch import nn
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv, self.unused = nn.Conv2d(3, 5, 3), nn.Linear(9, 9)
            def features(self, x):
                return self.conv(x){".mean((2, 3))" if pooled else ""}
        """
    write_module(folder, "inside" if package else name, source)
    model = f"python:{name}.inside:Net" if package else f"python:{name}:Net"
    backbone = load_backbone(card_of(model), user_folder=tmp_path)
    x = batch(2)
    network: Any = backbone.network
    assert backbone.dimensions == 5
    assert torch.allclose(backbone.features(x), network.conv(x).mean((2, 3)))


def test_weights_of_a_network_with_its_own_features_must_fit_wholly(tmp_path: Path) -> None:
    write_module(
        tmp_path,
        "net_own",
        """
        from torch import nn
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.project = nn.Linear(3, 4)
            def features(self, x):
                return self.project(x.mean((2, 3)))
        """,
    )
    torch.save({"project.weight": torch.ones(5, 3), "project.bias": torch.ones(5)}, tmp_path / "other.pt")
    with pytest.raises(UserError, match=r"has another shape of project\.bias, project\.weight"):
        load_backbone(card_of("python:net_own:Net", "other.pt"), user_folder=tmp_path)
    torch.save({"project.weight": torch.ones(4, 3), "project.bias": torch.zeros(4)}, tmp_path / "fits.pt")
    backbone = load_backbone(card_of("python:net_own:Net", "fits.pt"), user_folder=tmp_path)
    x = batch(2)
    assert torch.allclose(backbone.features(x), x.mean((2, 3)).sum(1, keepdim=True).expand(-1, 4), atol=1e-5)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def build():\n    return 3", r"build\(\) must return a torch.nn.Module, got int"),
        ("build = 3", r"has no function build; define it, or correct params.yaml"),
        ("def build():\n    raise KeyError('no')", r"KeyError: 'no' \(net_bad_2.py, line 2\); correct it"),
        ("import winnow_has_no_such_module", r"ModuleNotFoundError: .* \(net_bad_3.py, line 1\); correct it"),
        ("def build(:", r"SyntaxError: .*line 1.*; correct it"),
        (
            "from torch import nn\nclass build(nn.Module):\n    features = lambda self, x: x.flatten(2)",
            r"must give features of shape \(1, D\), got \(1, 3, 4096\)",
        ),
    ],
)
def test_mistakes_are_said_in_one_sentence(
    source: str, message: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    name = f"net_bad_{next(iter(request.node.callspec.indices.values()))}"
    (tmp_path / f"{name}.py").write_text(source)
    with pytest.raises(UserError, match=message):
        load_backbone(card_of(f"python:{name}:build"), user_folder=tmp_path)


def test_missing_modules_and_names_of_others_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone.py is missing; put it there"):
        load_backbone(card_of("python:gone:build"), user_folder=tmp_path)
    write_module(tmp_path, "json", "def build(): ...")
    with pytest.raises(UserError, match=r"another module is called json too; rename .*json.py"):
        load_backbone(card_of("python:json:build"), user_folder=tmp_path)


@pytest.mark.parametrize(
    "source",
    [
        "def build(): ...",
        "class build: ...",
        "from torch.nn import Identity as build",
        "build = lambda: None",
        "try:\n    import build\nexcept ImportError:\n    build = None",
        "if True:\n    def build(): ...",
        "from somewhere import *",
        "def __getattr__(name): ...",
    ],
)
def test_a_factory_that_its_module_names_is_found_without_running_it(source: str, tmp_path: Path) -> None:
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "small.py").write_text(f"raise SystemExit\n{source}\n")
    demand_files("python:nets.small:build", "default", user_folder=tmp_path)
    (tmp_path / "nets" / "__init__.py").write_text(f"{source}\nraise SystemExit\n")
    demand_files("python:nets:build", "none", user_folder=tmp_path)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def other():\n    def build(): ...", "mine has no function build; define it, or correct params.yaml"),
        ("other = build", "mine has no function build"),
        ("def build(:", r"mine.py is no Python \(.*line 1.*\); correct it"),
        ("build = '\x00'", r"mine.py is no Python .*null byte"),
        (None, "mine.py is missing; put it there, or correct params.yaml"),
    ],
)
def test_a_missing_module_or_factory_is_said_before_anything_runs(
    source: str | None, message: str, tmp_path: Path
) -> None:
    if source is not None:
        (tmp_path / "mine.py").write_text(source)
    with pytest.raises(UserError, match=message) as refused:
        demand_files("python:mine:build", "default", user_folder=tmp_path)
    assert "\n" not in str(refused.value)


def test_a_missing_file_or_package_of_weights_is_said_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"weights .*gone.pt is missing; put the file there"):
        demand_files("timm:resnet18", "gone.pt", user_folder=tmp_path)
    with pytest.raises(UserError, match="must lie in"):
        demand_files("timm:resnet18", "../gone.pt", user_folder=tmp_path)
    with pytest.raises(UserError, match="must be of a known package"):
        demand_files("timm:resnet18", "package:unheard-of", user_folder=tmp_path)
    (tmp_path / "there.pt").touch()
    demand_files("timm:resnet18", "there.pt", user_folder=tmp_path)
