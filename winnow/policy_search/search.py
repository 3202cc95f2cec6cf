r"""Faster AutoAugment's search: a policy and a critic against each other, one step each in turn.

$$ L_{critic} = -E[D(x)] + E[D(a)] + 10 \, E[(\lVert \nabla D(\hat x) \rVert_2 - 1)^2] + 0.1 \, CE(x), \quad
   L_{policy} = -E[D(a)] + 0.1 \, CE(a) - reach \, E[\lVert a - s \rVert_2] - variety \, I(o; u) $$

s are images, a the same ones augmented, x other ones, $\hat x$ between x and a, I the mutual
information of a stage u and its operation o. Source: Hataya et al. (2020), sect. 3.
Differs: the penalty's norm runs over the whole image, not over channels; the search is counted in steps, since 20
epochs over a few thousand images move no parameter far; one augmented batch serves the critic's step and then the
policy's; several searches run side by side, each for its share of the sub-policies; the critic warms up on the classes.
It forgets them: labels are kept by the label check's limits. But in the one search without a warm-up, the critic
scored inverted images, which are few, lower, and the policy made fewer of them
(docs/log/2026-11-25-critic-warm-up.md).

The terms with ``reach`` and ``variety`` are ours; 0 is the method as published. The policy that best matches the data's
own density changes nothing, and a search that runs long enough finds it: every probability and magnitude falls. The
critic's slope is 1 per unit of distance where it sees a fake and less along the directions in which real images differ,
so that a reward below 1 per unit makes the policy move far along those directions first. Without I, the operation that
the critic penalises least ends up in every stage, although copies are useful by their differences; with I, each stage
settles on one operation and the stages use different ones.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from winnow.augmentation.policy import Policy
from winnow.engine.jobs import run_jobs
from winnow.pipeline.fields import Batch, BelowOne, Few, NoneOrSteps, Rate, Steps, Weight, section
from winnow.policy_search.critic import Critic, distance, gradient_penalty
from winnow.policy_search.relaxed_policy import RelaxedPolicy
from winnow.transforms.operations import check_operations, to_images

PENALTY_WEIGHT = 10.0


CLASS_WEIGHT = 0.1


BETAS = (0.0, 0.999)


PENALTY_SHARE = 4  # one row in so many is penalised: second derivatives cost three times the rest of a critic's step


CURVE = ("critic_loss", "policy_loss", "gradient_penalty", "critic_class_loss", "policy_class_loss")


Pixels = npt.NDArray[np.uint8]


@section
class Settings:
    """How to search."""

    operations: list[str]  # offered to the search; names of ``OPERATIONS``
    sub_policies: Few  # in the policy, over all searches
    stages: Few  # operations, one after another, of a sub-policy
    searches: Few  # side by side, each with its own critic and its share of the sub-policies
    steps: Steps  # of the critic, and as many of the policy
    batch: Batch  # real images a step, and as many augmented
    learning_rate: Rate  # of the policy
    critic_learning_rate: Rate
    mixture: bool  # a stage does all operations at once, weighted by their softmax, as published; false: draws one
    reach: BelowOne  # reward per unit of distance from the image; 0 is the method as published
    variety: Weight  # reward per nat by which the stages differ in their operation; 0: as published
    classifier_steps: NoneOrSteps  # in which the critic warms up on the classes, at the policy's learning rate
    classifier_batch: Batch

    def __post_init__(self) -> None:
        check_operations(self.operations)
        if self.sub_policies % self.searches:
            raise ValueError(f"sub_policies must be a multiple of searches ({self.searches}), got {self.sub_policies}")

    @property
    def most_images(self) -> int:
        """Images that the steps of a search can see."""
        return 2 * self.steps * self.batch + self.classifier_steps * self.classifier_batch


def search(
    images: Pixels,
    labels: npt.NDArray[np.int64],
    limits: npt.NDArray[np.float32] | None,
    settings: Settings,
    *,
    seed: int,
) -> tuple[Policy, npt.NDArray[np.float64]]:
    """The policy found, without limits, and the curve.

    Args:
        images: (N, H, W, C) at the working size.
        labels: (N,) class indices below K.
        limits: (K, O) the largest magnitude of each of the settings' operations that a class allows, 1 where it has
            not been judged; None: no limits, the method as published.
        settings: of the search.
        seed: of all draws.

    Returns:
        The policy, and (T, 5) the means over the searches of what ``CURVE`` names, one row per step.

    Raises:
        ValueError: fewer than two images.

    Time O(T B), whatever N is; memory O(N) bytes of pixels per search.
    """
    if len(images) < 2:
        raise ValueError(f"a search needs at least 2 images, got {len(images)}")
    seeds = np.random.SeedSequence(seed).generate_state(settings.searches)
    classes = 1 + int(labels.max()) if limits is None else len(limits)
    jobs = [(images, labels, classes, limits, settings, int(number)) for number in seeds]
    answers = run_jobs(search_once, jobs, steps=settings.steps * len(jobs), label="search the policy: steps")
    sub_policies = tuple(steps for policy, _ in answers for steps in policy.sub_policies)
    curve = np.mean([curve for _, curve in answers], axis=0)  # (T, 5)
    return Policy(tuple(settings.operations), sub_policies), curve


def search_once(
    images: Pixels,
    labels: npt.NDArray[np.int64],
    classes: int,
    limits: npt.NDArray[np.float32] | None,
    settings: Settings,
    seed: int,
    tick: Callable[[], None],
) -> tuple[Policy, npt.NDArray[np.float64]]:
    """One search with one critic, for its share of the sub-policies; as ``search``."""
    generator = torch.Generator().manual_seed(seed)
    duel = Duel(images, labels, classes, limits, settings, generator)
    duel.warm_up(settings.classifier_steps, settings.classifier_batch, settings.learning_rate)
    curve = []
    for _ in range(settings.steps):
        curve.append(duel.step())
        tick()
    return duel.policy.policy(), np.array(curve)


class Duel:
    """A policy, its critic, and their data."""

    def __init__(
        self,
        images: Pixels,
        labels: npt.NDArray[np.int64],
        classes: int,
        limits: npt.NDArray[np.float32] | None,
        settings: Settings,
        generator: torch.Generator,
    ) -> None:
        self.images, self.labels, self.generator = images, torch.from_numpy(labels), generator
        self.limits = None if limits is None else torch.from_numpy(limits)
        self.reach, self.variety = settings.reach, settings.variety
        self.half = min(settings.batch, len(images) // 2)
        self.sub_policies = settings.sub_policies // settings.searches
        self.queue = torch.empty(0, dtype=torch.long)
        self.policy = RelaxedPolicy(
            settings.operations, self.sub_policies, settings.stages, generator, mixture=settings.mixture
        )
        self.critic = Critic(classes, generator)
        self.critic_optimiser = _adam(self.critic, settings.critic_learning_rate)
        self.policy_optimiser = _adam(self.policy, settings.learning_rate)

    def warm_up(self, steps: int, batch: int, learning_rate: float) -> None:
        """Train the critic on the classes alone, real images only."""
        optimiser = _adam(self.critic, learning_rate)
        for _ in range(steps):
            images, labels = self._next(min(batch, len(self.labels)))
            loss = functional.cross_entropy(self.critic(images)[1], labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    def step(self) -> tuple[float, ...]:
        """One step of the critic and one of the policy; what ``CURVE`` names."""
        (real, real_labels), (source, source_labels) = self.draw()
        sub_policy = torch.randint(self.sub_policies, (self.half,), generator=self.generator)
        limit = None if self.limits is None else self.limits[source_labels]  # (B, O)
        augmented = self.policy(source, sub_policy, limit, self.generator)  # (B, C, H, W)
        critic = self._step_critic(real, real_labels, augmented.detach())
        policy = self._step_policy(source, augmented, source_labels)
        return critic[0], policy[0], critic[1], critic[2], policy[1]

    def draw(self) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Real images, and the images to augment, with their labels; never the same ones."""
        images, labels = self._next(2 * self.half)
        return (images[: self.half], labels[: self.half]), (images[self.half :], labels[self.half :])

    def _next(self, count: int) -> tuple[Tensor, Tensor]:
        """(count, C, H, W) distinct images and their labels; nearly all come once before any comes again."""
        if len(self.queue) < count:
            self.queue = torch.randperm(len(self.images), generator=self.generator)
        chosen, self.queue = self.queue[:count], self.queue[count:]
        return to_images(self.images[chosen.numpy()]), self.labels[chosen]

    def _step_critic(self, real: Tensor, labels: Tensor, augmented: Tensor) -> tuple[float, float, float]:
        """Loss, gradient penalty and class loss before the step."""
        values, logits = self.critic(torch.cat([real, augmented]))  # (2B,), (2B, K)
        class_loss = functional.cross_entropy(logits[: len(real)], labels)
        rows = -(-len(real) // PENALTY_SHARE)
        penalty = gradient_penalty(lambda x: self.critic(x)[0], real[:rows], augmented[:rows], self.generator)
        distance = values[: len(real)].mean() - values[len(real) :].mean()
        loss = -distance + PENALTY_WEIGHT * penalty + CLASS_WEIGHT * class_loss
        self.critic_optimiser.zero_grad()
        loss.backward()
        self.critic_optimiser.step()
        return loss.item(), penalty.item(), class_loss.item()

    def _step_policy(self, source: Tensor, augmented: Tensor, labels: Tensor) -> tuple[float, float]:
        """Loss and class loss before the step; the critic is frozen."""
        self.critic.requires_grad_(False)
        values, logits = self.critic(augmented)
        class_loss = functional.cross_entropy(logits, labels)
        loss = -values.mean() + CLASS_WEIGHT * class_loss
        loss = loss - self.reach * distance(augmented, source).mean() - self.variety * self.policy.variety()
        self.policy_optimiser.zero_grad()
        loss.backward()
        self.policy_optimiser.step()
        self.policy.project()
        self.critic.requires_grad_(True)
        return loss.item(), class_loss.item()


def _adam(module: nn.Module, learning_rate: float) -> torch.optim.Adam:
    return torch.optim.Adam(module.parameters(), lr=learning_rate, betas=BETAS)
