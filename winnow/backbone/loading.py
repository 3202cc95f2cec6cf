"""A pretrained network as features, and as a network to fine-tune."""

import inspect
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from winnow.backbone.card import Card
from winnow.backbone.packaged import PACKAGE, packaged_file
from winnow.backbone.packaged_state import packaged_state
from winnow.backbone.preprocessing import PYTHON, TIMM, TORCHVISION
from winnow.backbone.user import demand_factory, user_network
from winnow.backbone.weights import demand_weights, put_state, read_state
from winnow.pipeline.files import ROOT
from winnow.pipeline.messages import UserError


class Backbone(nn.Module):
    """A network whose last layer is left aside: images to the features that a linear head reads."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.dimensions = 0  # D, once ``measure`` has run
        self.reads = _reading(network)
        self._head = last_linear(network)

    def features(self, x: Tensor) -> Tensor:
        """(B, 3, S, S) normalised images to (B, D) features; see ``user_network`` for where they come from."""
        if self.reads == "method":
            found: Any = self.network.features(x)  # type: ignore[operator]
        elif self.reads == "timm":
            maps = self.network.forward_features(x)  # type: ignore[operator]
            found = self.network.forward_head(maps, pre_logits=True)  # type: ignore[operator]
        else:
            found = self._before_head(x)
        return found.mean(dim=(2, 3)) if found.dim() == 4 else found  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        """The features."""
        return self.features(x)

    def _before_head(self, x: Tensor) -> Tensor:
        """What the last linear layer is given. The hook lives for the call alone, so that copies do not share it."""
        given: list[Tensor] = []
        head = self.network.get_submodule(self._head)
        handle = head.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
        try:
            self.network(x)
        finally:
            handle.remove()
        return given[-1]


class FineTunable(nn.Module):
    """A backbone with a fresh linear head; everything trains."""

    def __init__(self, backbone: Backbone, classes: int, generator: torch.Generator) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(backbone.dimensions, classes)
        bound = backbone.dimensions**-0.5
        with torch.no_grad():
            self.head.weight.uniform_(-bound, bound, generator=generator)
            self.head.bias.zero_()

    def features(self, x: Tensor) -> Tensor:
        """(B, 3, S, S) to the (B, D) features that the head reads."""
        return self.backbone.features(x)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, S, S) to (B, K) logits."""
        return self.head(self.features(x))  # type: ignore[no-any-return]


def load_backbone(card: Card, *, user_folder: Path) -> Backbone:
    """The card's network as features, in evaluation mode, without gradients.

    Args:
        card: of a model other than competition.
        user_folder: models/user, where the user's code and weight files are.

    Raises:
        UserError: the model or its weights cannot be had, do not fit, or do not take images of the card's size.
    """
    return _backbone(card, user_folder, seed=0).requires_grad_(False)


def finetunable(card: Card, classes: int, generator: torch.Generator, *, user_folder: Path) -> FineTunable:
    """The card's network with a fresh linear head, in training mode.

    Args:
        card: of a model other than competition.
        classes: K.
        generator: of the head's weights, and of the whole network's where the card's weights are none.
        user_folder: as ``load_backbone`` takes it.

    Raises:
        UserError: as ``load_backbone``.
    """
    seed = int(torch.randint(2**31, (1,), generator=generator))
    backbone = _backbone(card, user_folder, seed=seed)
    return FineTunable(backbone, classes, generator).requires_grad_(True).train()


def last_linear(network: nn.Module) -> str:
    """The name of the last linear layer in the order of registration; empty if there is none."""
    return next((name for name, part in reversed([*network.named_modules()]) if isinstance(part, nn.Linear)), "")


def weight_file(weights: str, *, user_folder: Path) -> Path:
    """Where a file of weights lies: relative to models/user, or to the repository, but always within models/user.

    Raises:
        UserError: it is elsewhere, where no stage would see an edit.
    """
    folder = Path(os.path.abspath(user_folder))
    inside = Path(os.path.normpath(folder / weights))
    from_root = Path(os.path.normpath(ROOT / weights))
    file = from_root if from_root.is_relative_to(folder) else inside
    if not file.is_relative_to(folder):
        raise UserError(f"params.yaml: weights must lie in {user_folder}, got {weights!r}; copy the file there")
    return file


def demand_files(model: str, weights: str, *, user_folder: Path) -> None:
    """Stop where the user's module, its factory, a file or a package of weights is missing. Nothing is loaded.

    Args:
        model: as params.yaml has it.
        weights: likewise.
        user_folder: models/user.

    Raises:
        UserError: something is.
    """
    if model.startswith(PYTHON):
        demand_factory(model, user_folder=user_folder)
    if weights.startswith(PACKAGE):
        packaged_file(weights.removeprefix(PACKAGE))
    elif weights not in ("none", "default"):
        demand_weights(weight_file(weights, user_folder=user_folder))


def _backbone(card: Card, user_folder: Path, *, seed: int) -> Backbone:
    if card.competition:
        raise ValueError("the competition's fixed model is no backbone")
    with torch.random.fork_rng(devices=[]):  # libraries draw first weights from the global generator
        torch.default_generator.manual_seed(seed)
        network = _created(card, user_folder)
    if card.weights.startswith(PACKAGE):
        package = card.weights.removeprefix(PACKAGE)
        state = packaged_state(package, network.state_dict())
        put_state(network, state, heads=(), file=packaged_file(package))
    elif card.weights not in ("none", "default"):
        file = weight_file(card.weights, user_folder=user_folder)
        put_state(network, read_state(file), heads=_heads(network), file=file)
    return _measured(Backbone(network).eval(), card)


def _created(card: Card, user_folder: Path) -> nn.Module:
    """The network, with its library's weights where the card says default."""
    try:
        if card.model.startswith(TORCHVISION):
            weights = "DEFAULT" if card.weights == "default" else None
            import torchvision  # takes seconds, as timm does: only where a model of theirs is wanted

            return torchvision.models.get_model(card.model.removeprefix(TORCHVISION), weights=weights)  # type: ignore[no-any-return]
        if card.model.startswith(TIMM):
            import timm

            return timm.create_model(card.model.removeprefix(TIMM), pretrained=card.weights == "default")
    except (OSError, RuntimeError) as error:  # a failed download; no weights published; a damaged download
        found = " ".join(str(error).split())
        remedy = "give weights a file in models/user, or package:NAME, or connect to the network"
        raise UserError(f"the default weights of {card.model} cannot be had ({found}); {remedy}") from error
    return user_network(card.model, user_folder=user_folder)


def _reading(network: nn.Module) -> str:
    """Where features come from: ``method``, ``timm`` or ``linear``, as ``user_network`` says; empty for nowhere."""
    if inspect.ismethod(getattr(network, "features", None)):
        return "method"
    if hasattr(network, "forward_features") and hasattr(network, "forward_head"):
        return "timm"
    return "linear" if last_linear(network) else ""


def _heads(network: nn.Module) -> tuple[str, ...]:
    """The classifiers, which a weight file may have for other classes; none where the network has its own features.

    There the last linear layer may be one that the features need.
    """
    reads = _reading(network)
    if reads == "timm":
        named = getattr(network, "pretrained_cfg", {}).get("classifier") or ()
        return (named,) if isinstance(named, str) else tuple(named)
    return (last_linear(network),) if reads == "linear" else ()


def _measured(backbone: Backbone, card: Card) -> Backbone:
    """The backbone with its dimensions, after one black image, which also shows that it takes the card's size."""
    if not backbone.reads:
        raise UserError(
            f"model {card.model} has no linear layer; give it a method features, in a module of models/user"
        )
    try:
        with torch.inference_mode():
            found = backbone.features(torch.zeros(1, 3, card.pixels, card.pixels))
    except Exception as error:  # whatever the network raises of a size that it does not take
        said = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise UserError(
            f"model {card.model} takes no {card.pixels} x {card.pixels} images ({said}); set pixels"
        ) from error
    if found.dim() != 2 or len(found) != 1:
        raise UserError(f"model {card.model} must give features of shape (1, D), got {tuple(found.shape)}")
    backbone.dimensions = found.shape[1]
    return backbone
