"""The critic of Faster AutoAugment: how real an image looks, and which class it shows.

It has the fixed model's architecture with two heads, and layer norm in place of batch norm: the gradient penalty is
about each image alone, which a norm over the batch would tie to the others (Gulrajani et al. 2017, section 4). With no
norm at all the losses exploded every few hundred steps.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from winnow.training.network import FEATURES, INPUT_SIZE, FixedModel, initialise, normalise


class Critic(nn.Module):
    """The fixed model's features with a scalar head and a class head."""

    def __init__(self, classes: int, generator: torch.Generator) -> None:
        super().__init__()
        self.body = FixedModel(classes, generator)  # its head is the class head
        self.realness = nn.Linear(FEATURES, 1)
        initialise(self.realness, generator)
        norm_each_image(self.body)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) in [0, 1] to (B,) realness and (B, K) logits."""
        features = self.body.features(normalise(255 * _small(images)))  # (B, 256)
        return self.realness(features)[:, 0], self.body.head(features)


def _small(images: Tensor) -> Tensor:
    """(B, C, 32, 32), bilinear without antialiasing, as the fixed model sees images."""
    return functional.interpolate(images, (INPUT_SIZE, INPUT_SIZE), mode="bilinear", align_corners=False)


def distance(images: Tensor, others: Tensor) -> Tensor:
    """(B,) Euclidean distance of (B, C, H, W) images at the size that the critic sees.

    The values of a critic of slope 1 differ by at most this. Scaled so that a difference which is constant over the
    pixels that become one keeps its whole length.
    """
    scale = (images.shape[2] * images.shape[3]) ** 0.5 / INPUT_SIZE
    return scale * torch.linalg.vector_norm(_small(images - others), dim=(1, 2, 3))  # type: ignore[no-any-return]


def norm_each_image(model: nn.Module) -> None:
    """Replace each batch norm by a layer norm over C, H and W, with a scale and shift per channel."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, nn.GroupNorm(1, child.num_features, eps=child.eps))


def gradient_penalty(
    value: Callable[[Tensor], Tensor], real: Tensor, augmented: Tensor, generator: torch.Generator
) -> Tensor:
    r"""How far the critic's slope is from 1 between real and augmented images.

    $$ \frac{1}{B} \sum_b (\lVert \nabla_{\hat x_b} D(\hat x_b) \rVert_2 - 1)^2,
       \quad \hat x_b = u_b x_b + (1 - u_b) \tilde x_b, \; u_b \sim U(0, 1) $$

    Source: Gulrajani et al. (2017), eq. 3, without its factor of 10. The norm runs over C, H and W together.

    Args:
        value: the critic's realness, (B, C, H, W) to (B,).
        real: (B, C, H, W).
        augmented: (B, C, H, W).
        generator: of the places between.
    """
    place = torch.rand((len(real), 1, 1, 1), generator=generator, device=generator.device, dtype=real.dtype)
    between = torch.lerp(augmented.detach(), real.detach(), place.to(real.device)).requires_grad_()
    (slope,) = torch.autograd.grad(value(between).sum(), between, create_graph=True)  # (B, C, H, W)
    length: Tensor = torch.linalg.vector_norm(slope, dim=(1, 2, 3))  # (B,)
    return (length - 1).square().mean()
