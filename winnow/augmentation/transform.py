"""A found policy as a torchvision transform, for those who augment while they train.

    transform = PolicyTransform.load("models/r1/policy.json", chained=3, classes=dataset.classes)
    image, label = transform(image, label)  # within the limits that the label's class survives
    image = transform(image)                # within the strictest limits of all classes

It stands in a ``torchvision.transforms.v2.Compose`` as any other, before or after a resize: what it does to an image
does not depend on the image's size. Draws follow torch's global seed, as torchvision's do, so that the workers of a
DataLoader differ.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torchvision import tv_tensors

from winnow.augmentation.policy import Policy, draw_from_policy
from winnow.augmentation.policy_file import load_policy
from winnow.augmentation.rendering import Pixels, Steps, fixed, render
from winnow.transforms.operations import Applied

MODES = ("L", "RGB")


ANY_CLASS = ""  # stands for all classes in the limits of an image without a label; a folder's name is never empty


class PolicyTransform(nn.Module):
    """One draw of a policy on one image."""

    def __init__(self, policy: Policy, *, chained: int, classes: Sequence[str] | None = None) -> None:
        """Prepare the limits.

        Args:
            policy: the policy.
            chained: sub-policies that an image takes (``draw_from_policy``), where the policy does not say it itself;
                params.yaml: augment.chained.
            classes: names by class index, where labels are given as indices; ``ImageFolder`` has them as ``classes``.
        """
        super().__init__()
        self.policy = policy
        self.strict = strictest(policy)
        self.chained = chained
        self.classes = None if classes is None else list(classes)
        self.known = {name for by_class in policy.limits.values() for name in by_class}

    @classmethod
    def load(cls, path: str | Path, *, chained: int, classes: Sequence[str] | None = None) -> "PolicyTransform":
        """The transform of a policy.json.

        Raises:
            UserError: the file is missing or no policy.
        """
        return cls(load_policy(Path(path)), chained=chained, classes=classes)

    def forward(self, image: Any, *label: Any) -> Any:
        """The image after one draw; with a label, the image and the label.

        Args:
            image: a PIL image, L or RGB, or a uint8 tensor (C, H, W) with C 1 or 3.
            label: at most one: a class's name, or its index where ``classes`` were given.

        Raises:
            TypeError: the image is of another kind, or a label that is no index where indices are expected.
            ValueError: the policy does not know the class.
        """
        if len(label) > 1:
            raise TypeError(f"an image and its label wanted, got {len(label) + 1} values")
        pixels = _pixels_of(image)
        steps = self.draw(*label)
        changed = _like(image, render(pixels, steps)) if steps else image
        return (changed, *label) if label else changed

    def draw(self, *label: Any) -> list[Applied]:
        """The steps of one draw, as ``render`` takes them and ``recorded`` writes them."""
        generator = torch.Generator().manual_seed(int(torch.randint(1 << 62, ())))
        policy, name = (self.policy, self._name(label[0])) if label else (self.strict, ANY_CLASS)
        plan: list[Steps] = list(draw_from_policy(policy, [name], generator, chained=self.chained))
        return fixed(plan, generator)[0]

    def _name(self, label: Any) -> str:
        """The class of a label."""
        if not isinstance(label, str):
            if self.classes is None:
                raise TypeError(f"label {label!r} is no class name; give `classes`, the names by index")
            index = int(label)
            if not 0 <= index < len(self.classes):
                raise ValueError(f"label {index} is no index of {len(self.classes)} classes")
            label = self.classes[index]
        if self.known and label not in self.known:
            raise ValueError(
                f"the policy knows no class {label!r}; known: {', '.join(sorted(self.known))}. An export calls a class "
                "whose name is no safe folder name class_<index>; its manifest has both"
            )
        return str(label)

    def extra_repr(self) -> str:
        """What a printed Compose shows of it."""
        return f"sub_policies={len(self.policy.sub_policies)}, chained={self.chained}"


def strictest(policy: Policy) -> Policy:
    """The policy with one limit an operation, under ANY_CLASS: the lowest of all classes."""
    lowest = {name: min(by_class.values(), default=1.0) for name, by_class in policy.limits.items()}
    return replace(policy, limits={name: {ANY_CLASS: limit} for name, limit in lowest.items()})


def _pixels_of(image: Any) -> Pixels:
    """(H, W, C) uint8."""
    if isinstance(image, Image.Image):
        if image.mode not in MODES:
            raise TypeError(
                f"a PIL image in mode {' or '.join(MODES)} wanted, got {image.mode}; convert it to RGB first"
            )
        pixels = np.asarray(image)
        return pixels[..., None] if pixels.ndim == 2 else pixels
    if not isinstance(image, torch.Tensor):
        raise TypeError(f"a PIL image or a tensor wanted, got {type(image).__name__}")
    if image.dtype != torch.uint8 or image.ndim != 3 or image.shape[0] not in (1, 3):
        raise TypeError(
            f"a uint8 tensor (C, H, W) of 1 or 3 channels wanted, got {str(image.dtype).removeprefix('torch.')} "
            f"{tuple(image.shape)}; put the policy before ToDtype and Normalize, and before images become a batch"
        )
    return np.ascontiguousarray(image.permute(1, 2, 0).cpu().numpy())


def _like(image: Any, pixels: Pixels) -> Any:
    """Pixels as an image of the same kind."""
    if isinstance(image, Image.Image):
        return Image.fromarray(pixels[..., 0] if image.mode == "L" else pixels)
    tensor = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))).to(image.device)
    return tv_tensors.wrap(tensor, like=image) if isinstance(image, tv_tensors.TVTensor) else tensor
