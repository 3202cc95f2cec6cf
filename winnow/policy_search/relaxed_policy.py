"""A policy under search: every choice relaxed, so that a loss on the augmented images reaches all of it.

Source: Hataya et al. (2020), Faster AutoAugment, section 3. Differs: probabilities and magnitudes are put back into
their range after each step, where the authors clamp in the forward pass and lose the gradient outside; unless
``mixture`` is set, a stage does one operation, drawn by its softmax, and the gradient is the mixture's: with a mixture
the critic never sees a pure one.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from winnow.augmentation.policy import Policy, Step
from winnow.transforms.geometry import straight_through
from winnow.transforms.operations import OPERATIONS, apply

CHOICE_TEMPERATURE = 0.05  # of the softmax over a stage's operations


BERNOULLI_TEMPERATURE = 0.1  # of the relaxed draw whether an operation is done


SURE = 0.001  # how near a probability may come to 0 and 1, where the relaxed draw has no gradient


START_SPREAD = 0.25  # probabilities and magnitudes start within 0.5 +- this, so that no two sub-policies are alike


class RelaxedPolicy(nn.Module):
    """S sub-policies of L stages; each stage owns its copies of all O operations."""

    def __init__(
        self,
        operations: Sequence[str],
        sub_policies: int,
        stages: int,
        generator: torch.Generator,
        *,
        mixture: bool = False,
    ) -> None:
        super().__init__()
        self.operations, self.mixture = tuple(operations), mixture
        self.whole = torch.tensor([OPERATIONS[name].whole for name in operations])  # (O,)
        shape = (sub_policies, stages, len(self.operations))

        def around_half() -> nn.Parameter:
            return nn.Parameter(0.5 + START_SPREAD * (2 * torch.rand(shape, generator=generator) - 1))

        self.probability, self.magnitude = around_half(), around_half()  # (S, L, O) in [0, 1]
        start = torch.randn(shape, generator=generator)
        self.weight = nn.Parameter(CHOICE_TEMPERATURE * start)  # (S, L, O)

    def forward(self, images: Tensor, sub_policy: Tensor, limit: Tensor | None, generator: torch.Generator) -> Tensor:
        """Each image through its own sub-policy.

        Args:
            images: (B, C, H, W) in [0, 1].
            sub_policy: (B,) int64, which sub-policy an image takes.
            limit: (B, O) in [0, 1], the largest magnitude of each operation that an image's class allows, all stages
                together; None: any, in every stage.
            generator: of the relaxed draws and of the operations'.

        Returns:
            (B, C, H, W) in [0, 1].
        """
        for stage in range(self.weight.shape[1]):
            weight, probability = self.weight[sub_policy, stage], self.probability[sub_policy, stage]  # (B, O)
            magnitude = self.magnitude[sub_policy, stage]  # (B, O)
            if limit is not None:
                magnitude = torch.minimum(magnitude, limit)
            images, part = self._stage(images, weight, probability, magnitude, generator)
            if limit is None:
                continue
            done = part.detach()
            spent = torch.where(self.whole, limit * (done > 0.5), done * magnitude.detach())
            limit = (limit - spent).clamp(min=0)  # what is left for a later stage of the same operation
        return images

    def _stage(
        self, images: Tensor, weight: Tensor, probability: Tensor, magnitude: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        r"""$\sum_o u_o \, [r_o f_o(x, m_o) + (1 - r_o) x]$, u one-hot, drawn by and with the gradient of
        $\mathrm{softmax}(w / 0.05)$, or with ``mixture`` this softmax itself; the parameters are (B, O).

        The clamp of the bracket does nothing, since a mean of two values in [0, 1] lies in [0, 1]. Both sums together
        are $x + \sum_o s_o r_o (f_o(x) - x)$; (B, O) $s_o r_o$ is returned as well.
        """
        share = torch.softmax(weight / CHOICE_TEMPERATURE, dim=1)  # (B, O)
        if not self.mixture:
            drawn = torch.multinomial(share.detach(), 1, generator=generator)  # (B, 1)
            share = straight_through(torch.zeros_like(share).scatter_(1, drawn, 1.0), share)
        part = share * relaxed_bernoulli(probability, generator)  # (B, O)
        result = images * (1 - part.sum(dim=1))[:, None, None, None]
        for index, name in enumerate(self.operations):
            result = result + part[:, index, None, None, None] * apply(name, images, magnitude[:, index], generator)
        return straight_through(result.clamp(0, 1), result), part  # out by rounding only

    def variety(self) -> Tensor:
        r"""How much the stages differ in their operation, in nats: $H(\bar u) - \overline{H(u)}$, u a stage's shares.

        log O when every stage is sure of its operation and all operations are used alike; 0 when all stages have the
        same shares, be it one operation or a mixture.
        """
        share = torch.softmax(self.weight / CHOICE_TEMPERATURE, dim=2)  # (S, L, O)
        result: Tensor = torch.special.entr(share.mean(dim=(0, 1))).sum() - torch.special.entr(share).sum(dim=2).mean()
        return result

    @torch.no_grad()
    def project(self) -> None:
        """Put probabilities and magnitudes back into their range, after a step of the optimiser."""
        self.probability.clamp_(SURE, 1 - SURE)
        self.magnitude.clamp_(0, 1)

    @torch.no_grad()
    def chosen(self) -> tuple[tuple[Step, ...], ...]:
        """The sub-policies as they are sampled: of each stage the operation of the largest weight."""
        best = self.weight.argmax(dim=2)  # (S, L)
        return tuple(
            tuple(
                Step(
                    self.operations[index],
                    float(self.probability[sub_policy, stage, index]),
                    float(self.magnitude[sub_policy, stage, index]),
                )
                for stage, index in enumerate(row)
            )
            for sub_policy, row in enumerate(best.tolist())
        )

    def policy(self) -> Policy:
        """The policy found so far, without limits."""
        return Policy(self.operations, self.chosen())


def relaxed_bernoulli(probability: Tensor, generator: torch.Generator) -> Tensor:
    """Draws near 0 or 1 that have a gradient to their probability (Maddison et al. 2017, eq. 19), at temperature 0.1.

    Args:
        probability: any shape, in (0, 1).
        generator: of the draws.
    """
    uniform = torch.rand(probability.shape, generator=generator, device=generator.device, dtype=probability.dtype)
    noise = torch.logit(uniform.to(probability.device), eps=1e-6)
    return torch.sigmoid((torch.logit(probability, eps=1e-6) + noise) / BERNOULLI_TEMPERATURE)
