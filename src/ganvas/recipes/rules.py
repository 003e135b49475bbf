"""The rules of "choose for me": settings derived from resolution, device and number of pictures.

Each rule gives a value and a sentence with the formula, the numbers put into it and its source; a
run keeps both in its config.yaml. The rules, most of them the automatic configuration of Karras et
al. 2020a ("Training Generative Adversarial Networks with Limited Data", train.py of their code):

- Batch: 4096 / side of a picture, at most 64 (theirs: 32 for each GPU; ours: 32 on a CPU). Ours:
  at most a quarter of the pictures, so that batches differ, but at least 4, and a power of two for
  each process. Models that translate keep their recipe's.
- Learning rates of Adam: the recipe's, times the square root of the ratio of the batches (Malladi
  et al. 2022). Their rule scales the betas, too; at the GAN's 0.5 that has no meaning.
  StyleGANs have the authors' rates by the side of a picture instead, whatever the batch: 2019 0.001
  up to 64 px, 0.0015 at 128, 0.002 at 256, 0.003 from 512 px on, rising as it grows; StyleGAN2
  0.0025, from 1024 px on 0.002 (Karras et al. 2020a); StyleGAN3 0.0025 for G, 0.002 for D (Karras
  et al. 2021).
- Half-life of the averaged weights: 10,000 images for each 32 of a batch. Ours: at most a tenth of
  the run.
- R1 (logistic objectives; not where spectral norm or another penalty bounds D): 0.0002 *
  pixels / batch; StyleGAN3 five times as much, 2 at 256 px with a batch of 32 (Karras et al. 2021,
  training configurations of their code). The relativistic objective needs R1 and R2, far stronger:
  Huang et al. 2024 took 0.05 and 0.5 at 32 pixels, 2 and 1 at 64, 150 at 256; ours is the power law
  2 * (side / 64)^3.
- WGAN-GP: 10, as for every data set of the paper (Gulrajani et al. 2017, section 4).
- Augmentation, below 50,000 pictures (mirrored ones counted twice): ADA improved LSUN Cat clearly
  at 30,000 pictures, no longer at 100,000 (Karras et al. 2020a, figure 7). Ours: only where each
  is shown 100 times or more, as nothing is memorised before. ADA where it has the time to adapt,
  500,000 images from none to full (section 3.2), and D's sign says what it takes for real;
  otherwise DiffAugment, which is at its full strength at once (Zhao et al. 2020).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from ganvas.data.augment.ada import IMAGES_TO_FULL_STRENGTH
from ganvas.losses.adversarial import tells_by_sign
from ganvas.models.adversarial_config import AdversarialConfig
from ganvas.models.gan_config import GanConfig
from ganvas.models.schedule import Schedule
from ganvas.models.stylegan_config import StyleGanConfig
from ganvas.recipes import RECIPES, Recipe
from ganvas.training.config import RunConfig

FEWEST = 4
"""Pictures in a batch, at least: the statistics of fewer say nothing."""

MOST_ON_CPU, MOST_ELSEWHERE = 32, 64
"""Pictures in a batch, at most."""

ENOUGH_PICTURES = 50_000
"""As many need no augmentation."""

MEMORISED_AFTER = 100
"""Times that a discriminator must see a picture to know it by heart."""

_KARRAS = "Karras et al. 2020a, auto configuration of their code"
_STYLEGAN3 = "Karras et al. 2021, training configurations of their code"


@dataclass(frozen=True)
class Facts:
    """What there is to choose from."""

    shape: tuple[int, ...]
    """Of a picture, (C, H, W), or of a point, (2,)."""
    pictures: int
    """To train on."""
    device: str
    """Its kind: cpu, cuda or mps."""
    processes: int = 1

    @property
    def pixels(self) -> int | None:
        """Of a picture; None for points."""
        return None if len(self.shape) == 1 else math.prod(self.shape[1:])


@dataclass(frozen=True)
class Choice:
    """A value and how it came about."""

    value: Any
    sentence: str


@dataclass(frozen=True)
class Rule:
    """Where a field can be chosen, and how."""

    applies: Callable[[RunConfig], bool]
    choose: Callable[[RunConfig, Facts], Choice]


def _batch(config: RunConfig, facts: Facts) -> Choice:
    parts = facts.processes * config.training.accumulate
    if config.model.needs_pairs is not None:
        value = max(min(config.training.batch, facts.pictures) // parts, 1) * parts
        return Choice(
            value,
            f"{value}, near the {config.training.batch} of the recipe: models that translate learn "
            "from steps more than from batches (Isola et al. 2017, section 3.3, had 1 to 10)",
        )
    most = MOST_ON_CPU if facts.device == "cpu" else MOST_ELSEWHERE
    limits = {
        f"{most} on {facts.device}": most,
        f"{facts.pictures:,} pictures // 4": facts.pictures // 4,
    }
    if facts.pixels is not None:
        side = math.isqrt(facts.pixels)
        limits = {f"4096 // {side} px": 4096 // side, **limits}
    smallest = min(limits.values())
    share = max(smallest, min(FEWEST, facts.pictures)) // parts
    value = parts * _power_of_two(max(share, 1))
    rounded = f", as a usable size {value}" if value != smallest else ""
    return Choice(value, f"min({', '.join(limits)}) = {smallest}{rounded} ({_KARRAS})")


def _ema(config: RunConfig, facts: Facts) -> Choice:
    batch, images = config.training.batch, config.training.images
    value = max(1, min(batch * 10_000 // 32, images // 10))
    return Choice(
        value,
        f"min(10,000 * batch {batch} / 32, {images:,} images / 10) = {value:,} images ({_KARRAS}; "
        "at most a tenth of the run)",
    )


def _rate_of(optimizer: str) -> Rule:
    """The rule for the learning rate of the model's optimiser of that name."""

    def applies(config: RunConfig) -> bool:
        return _recipe(config) is not None and hasattr(config.model, optimizer)

    def rate(config: RunConfig, facts: Facts) -> Choice:
        if isinstance(config.model, StyleGanConfig):
            return _style_rate(config.model, optimizer, facts)
        recipe = RECIPES[config.name]
        own: float | Schedule = attrgetter(f"{optimizer}.learning_rate")(recipe.model)
        batch, its_batch = config.training.batch, recipe.training.batch
        factor = math.sqrt(batch / its_batch)
        value = _times(own, factor)
        return Choice(
            value,
            f"{_written(own)} * sqrt(batch {batch} / {its_batch}) = {_written(value)} (the "
            f"recipe's rate and batch; square root scaling of Adam, Malladi et al. 2022)",
        )

    return Rule(applies, rate)


def _style_rate(model: StyleGanConfig, optimizer: str, facts: Facts) -> Choice:
    """The authors' learning rate of an optimiser of a StyleGAN."""
    side = max(facts.shape[1:], default=0)
    if model.networks == "stylegan":
        return _rate_2019(side, model.growing)
    if model.networks == "stylegan2":
        value = 0.002 if side >= 1024 else 0.0025
        return Choice(
            value, f"{value:g} at {side} px: 0.002 from 1024 px on, else 0.0025 ({_KARRAS})"
        )
    value = 0.0025 if optimizer == "generator" else 0.002
    return Choice(value, f"{value:g} for the {optimizer} at all sizes ({_STYLEGAN3})")


def _rate_2019(side: int, growing: float | None) -> Choice:
    """That of StyleGAN (2019), which follows the size of the pictures while they grow."""
    first, end = _RATES_2019[0][1], next(rate for most, rate in _RATES_2019 if side <= most)
    source = f"{end:g} at {side} px (Karras et al. 2019, their code)"
    if growing is None or end == first:
        return Choice(end, source)
    # At 1024 px those of 128 begin to come after 7 of 14 turns of the growth, of 512 after 11.
    moving = Schedule(
        start=first, end=end, begin=_rounded(growing / 2), until=_rounded(growing * 11 / 14)
    )
    return Choice(moving, f"{_written(moving)} as the pictures grow: {source}")


_RATES_2019 = ((64, 1e-3), (128, 1.5e-3), (256, 2e-3), (math.inf, 3e-3))
"""The largest side of a picture, and the rate up to there."""


def _is_relativistic(config: RunConfig) -> bool:
    return isinstance(config.model, AdversarialConfig) and config.model.objective == "relativistic"


def _wants_r1(config: RunConfig) -> bool:
    """Whether D's loss is logistic and nothing else bounds its gradient."""
    model = config.model
    if not isinstance(model, AdversarialConfig):
        return False
    if model.objective not in ("minimax", "non-saturating", "relativistic"):
        return False
    bounded = isinstance(model, GanConfig) and model.norm == "spectral"
    return not bounded and model.gradient_penalty == "none"


def _gamma(field: str) -> Callable[[RunConfig, Facts], Choice]:
    """How to choose the weight of R1 or R2, which is in the model's field of that name."""

    def choose_gamma(config: RunConfig, facts: Facts) -> Choice:
        own: float | Schedule = getattr(config.model, field)
        if facts.pixels is None:
            return Choice(own, f"{_written(own)} as before: the formula needs pixels")
        if _is_relativistic(config):
            side = math.sqrt(facts.pixels)
            value = _starting_at(own, 2 * (side / 64) ** 3)
            return Choice(
                value,
                f"2 * ({side:.4g} px / 64)^3 = {_written(value)} (a power law through the weights "
                "of Huang et al. 2024 for R3GAN)",
            )
        height, width = facts.shape[1:]
        batch = config.training.batch
        per_pixel, source = (0.001, _STYLEGAN3) if _is_stylegan3(config) else (0.0002, _KARRAS)
        value = _starting_at(own, per_pixel * facts.pixels / batch)
        return Choice(
            value,
            f"{per_pixel:g} * {height} * {width} pixels / batch {batch} = {_written(value)} "
            f"({source})",
        )

    return choose_gamma


def _is_stylegan3(config: RunConfig) -> bool:
    model = config.model
    return isinstance(model, StyleGanConfig) and model.networks.startswith("stylegan3")


def _has_gradient_penalty(config: RunConfig) -> bool:
    """Whether D has the penalty of WGAN-GP, of either side."""
    sides = ("two-sided", "one-sided")
    return isinstance(config.model, AdversarialConfig) and config.model.gradient_penalty in sides


def _gradient_penalty(config: RunConfig, facts: Facts) -> Choice:
    return Choice(10.0, "10 for every data set (Gulrajani et al. 2017, section 4)")


def _has_open_augmentation(config: RunConfig) -> bool:
    """Whether the model can augment, and at no strength that is fixed already (as R3GAN's is)."""
    return isinstance(config.model, AdversarialConfig) and config.model.augment_strength is None


def _augment(config: RunConfig, facts: Facts) -> Choice:
    """Which augmentation of what D sees; see the module's docstring."""
    images = config.training.images
    pictures = facts.pictures * (2 if config.data.flip else 1)
    counted = f"{pictures:,} pictures{' with the mirrored ones' if config.data.flip else ''}"
    times = images // pictures
    if facts.pixels is None:
        return Choice("none", "none: points in a plane are no pictures")
    if pictures >= ENOUGH_PICTURES:
        return Choice(
            "none",
            f"none: {counted} are {ENOUGH_PICTURES:,} or more (Karras et al. 2020a, "
            "figure 7: it helps at 30,000, no longer at 100,000)",
        )
    if times < MEMORISED_AFTER:
        return Choice(
            "none",
            f"none: {images:,} images / {counted} show each {times} times, fewer than "
            f"{MEMORISED_AFTER} (ours: the discriminator cannot know them by heart)",
        )
    adapts = IMAGES_TO_FULL_STRENGTH
    few = f"{counted} are fewer than {ENOUGH_PICTURES:,} and shown {times:,} times each"
    if images >= adapts and _sign_means_real(config) and not _grows(config):
        return Choice(
            "ada",
            f"ada: {few}, in {images:,} images, {adapts:,} or more, in which it can adapt "
            "(Karras et al. 2020a, figure 7 and section 3.2)",
        )
    if images < adapts:
        why = f"{images:,} images are fewer than the {adapts:,} in which ADA adapts"
    elif _grows(config):
        why = "ADA needs pictures of 16 px or more, and growing begins with fewer"
    else:
        why = "ADA asks for the sign of D, which says nothing under this objective"
    return Choice("diffaugment", f"diffaugment: {few}; {why} (Zhao et al. 2020)")


def _sign_means_real(config: RunConfig) -> bool:
    """Whether D > 0 says "real", as ADA's sign statistic takes it."""
    return isinstance(config.model, AdversarialConfig) and tells_by_sign(config.model.objective)


def _grows(config: RunConfig) -> bool:
    return isinstance(config.model, StyleGanConfig) and config.model.growing is not None


def _always(config: RunConfig) -> bool:
    return True


RULES: dict[str, Rule] = {
    "training.batch": Rule(_always, _batch),
    "training.ema_half_life": Rule(_always, _ema),
    "model.optimizer.learning_rate": _rate_of("optimizer"),
    "model.generator.learning_rate": _rate_of("generator"),
    "model.discriminator.learning_rate": _rate_of("discriminator"),
    "model.r1_gamma": Rule(_wants_r1, _gamma("r1_gamma")),
    "model.r2_gamma": Rule(lambda c: _wants_r1(c) and _is_relativistic(c), _gamma("r2_gamma")),
    "model.gradient_penalty_weight": Rule(_has_gradient_penalty, _gradient_penalty),
    "model.augment": Rule(_has_open_augmentation, _augment),
}
"""By field, in the order in which they are chosen."""


def _recipe(config: RunConfig) -> Recipe | None:
    """The recipe that the configuration began as, if its model is still of that kind."""
    recipe = RECIPES.get(config.name)
    return recipe if recipe is not None and recipe.model.name == config.model.name else None


def _power_of_two(n: int) -> int:
    """The largest power of two up to n >= 1."""
    return 1 << (n.bit_length() - 1)


def _rounded(value: float) -> float:
    """To three significant digits."""
    return float(f"{value:.3g}")


def _times(setting: float | Schedule, factor: float) -> float | Schedule:
    if isinstance(setting, Schedule):
        ends = {"start": _rounded(setting.start * factor), "end": _rounded(setting.end * factor)}
        return setting.model_copy(update=ends)
    return _rounded(setting * factor)


def _starting_at(setting: float | Schedule, value: float) -> float | Schedule:
    """The value, or the schedule from it that moves as far as the setting's, in proportion."""
    if isinstance(setting, Schedule) and setting.start:
        return _times(setting, value / setting.start)
    return _rounded(value)


def _written(setting: float | Schedule) -> str:
    if isinstance(setting, Schedule):
        return f"({setting.start:g} to {setting.end:g})"
    return f"{setting:g}"
