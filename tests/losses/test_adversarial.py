from typing import get_args

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ganvas.losses.adversarial import (
    Objective,
    compares_pairs,
    discriminator_losses,
    generator_losses,
    has_probabilities,
    minimax,
    non_saturating,
)
from ganvas.networks.dcgan import Discriminator

OBJECTIVES: tuple[Objective, ...] = get_args(Objective)

REAL = torch.linspace(-8, 8, 33, dtype=torch.float64)
FAKE = REAL.flip(0) * 0.7 + 0.3


def sigmoid(a: Tensor) -> Tensor:
    return 1 / (1 + (-a).exp())


ZERO = torch.zeros((), dtype=torch.float64)

DISCRIMINATORS: dict[Objective, dict[str, Tensor]] = {
    "minimax": {"real": -sigmoid(REAL).log(), "fake": -(1 - sigmoid(FAKE)).log()},
    "non-saturating": {"real": -sigmoid(REAL).log(), "fake": -(1 - sigmoid(FAKE)).log()},
    "least-squares": {"real": (REAL - 1) ** 2 / 2, "fake": FAKE**2 / 2},
    "hinge": {
        "real": -torch.minimum(ZERO, REAL - 1),
        "fake": -torch.minimum(ZERO, -FAKE - 1),
    },
    "wasserstein": {"real": -REAL, "fake": FAKE},
    "relativistic": {"pair": (1 + (FAKE - REAL).exp()).log()},
}
"""What D minimises, as the papers write it."""

GENERATORS: dict[Objective, Tensor] = {
    "minimax": (1 - sigmoid(FAKE)).log(),
    "non-saturating": -sigmoid(FAKE).log(),
    "least-squares": (FAKE - 1) ** 2 / 2,
    "hinge": -FAKE,
    "wasserstein": -FAKE,
    "relativistic": (1 + (REAL - FAKE).exp()).log(),
}


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_losses_are_the_formulas_of_the_papers(objective: Objective) -> None:
    losses = discriminator_losses(objective, REAL, FAKE)
    assert losses.keys() == DISCRIMINATORS[objective].keys()
    for name, loss in losses.items():
        torch.testing.assert_close(loss, DISCRIMINATORS[objective][name])
    torch.testing.assert_close(generator_losses(objective, FAKE, REAL), GENERATORS[objective])


@pytest.mark.parametrize("objective", ["minimax", "non-saturating"])
@pytest.mark.parametrize(("real_target", "fake_target"), [(1.0, 0.0), (0.9, 0.0), (0.9, 0.1)])
def test_smoothed_labels_are_the_cross_entropy_with_them(
    objective: Objective, real_target: float, fake_target: float
) -> None:
    losses = discriminator_losses(
        objective, REAL, FAKE, real_target=real_target, fake_target=fake_target
    )
    for name, logits, target in (("real", REAL, real_target), ("fake", FAKE, fake_target)):
        expected = F.binary_cross_entropy_with_logits(
            logits, torch.full_like(logits, target), reduction="none"
        )
        torch.testing.assert_close(losses[name], expected)


def test_smoothed_real_labels_are_least_lost_at_their_odds() -> None:
    """One-sided smoothing: D's best answer to real images alone is the target, not certainty."""
    logits = torch.tensor(0.9, dtype=torch.float64).logit().requires_grad_()
    loss = discriminator_losses("minimax", logits, FAKE, real_target=0.9)["real"]
    (slope,) = torch.autograd.grad(loss, logits)
    torch.testing.assert_close(slope, torch.zeros_like(slope), atol=1e-12, rtol=0)


def test_targets_of_least_squares_are_those_of_its_paper() -> None:
    losses = discriminator_losses("least-squares", REAL, FAKE, real_target=0.9, fake_target=-1.0)
    torch.testing.assert_close(losses["real"], (REAL - 0.9) ** 2 / 2)
    torch.testing.assert_close(losses["fake"], (FAKE + 1) ** 2 / 2)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_targets_are_refused_where_there_is_nothing_to_smooth(objective: Objective) -> None:
    if has_probabilities(objective):
        discriminator_losses(objective, REAL, FAKE, real_target=0.9)
    else:
        with pytest.raises(ValueError, match="no targets"):
            discriminator_losses(objective, REAL, FAKE, real_target=0.9)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_only_pairs_need_real_images_for_the_generator(objective: Objective) -> None:
    if compares_pairs(objective):
        with pytest.raises(ValueError, match="needs both"):
            generator_losses(objective, FAKE)
    else:
        torch.testing.assert_close(generator_losses(objective, FAKE), GENERATORS[objective])


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("value", [-200.0, 200.0])
def test_losses_and_slopes_stay_finite_far_out(objective: Objective, value: float) -> None:
    real, fake = (torch.tensor(sign * value, requires_grad=True) for sign in (1, -1))
    losses = [*discriminator_losses(objective, real, fake).values()]
    total = torch.stack([*losses, generator_losses(objective, fake, real)]).sum()
    assert torch.isfinite(total)
    for slope in torch.autograd.grad(total, (real, fake)):
        assert torch.isfinite(slope)


def test_logistic_losses_are_exact_where_the_discriminator_is_sure() -> None:
    """-log D(x) at a = 30 is exp(-30), in float32, too."""
    sure = torch.tensor(30.0)
    loss = discriminator_losses("minimax", sure, -sure)
    expected = torch.tensor(-30.0).exp()
    torch.testing.assert_close(loss["real"], expected, rtol=1e-5, atol=0)
    torch.testing.assert_close(loss["fake"], expected, rtol=1e-5, atol=0)


def test_minimax_saturates_and_non_saturating_does_not() -> None:
    """Where D is sure of a fake, eq. 1 gives G next to no gradient (section 3 of the paper)."""
    logit = torch.tensor(-10.0, requires_grad=True)
    (saturated,) = torch.autograd.grad(minimax(logit), logit)
    (strong,) = torch.autograd.grad(non_saturating(logit), logit)
    assert -1e-4 < saturated < 0  # both push the logit up
    assert strong < -0.99


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_players_pull_in_opposite_directions(objective: Objective) -> None:
    """D lowers its output at a fake, G raises it."""
    fake = torch.tensor(0.1, requires_grad=True)
    real = torch.tensor(-0.1)
    of_D = torch.stack([*discriminator_losses(objective, real, fake).values()]).sum()
    assert torch.autograd.grad(of_D, fake)[0] > 0
    assert torch.autograd.grad(generator_losses(objective, fake, real), fake)[0] < 0


@pytest.mark.parametrize("objective", ["non-saturating", "wasserstein"])
def test_bfloat16_changes_a_gradient_less_than_another_batch_would(objective: Objective) -> None:
    """The noise of sampling: how far apart the gradients of batches of 64 lie, in float32."""
    torch.manual_seed(0)
    network = Discriminator((3, 32, 32), 8, norm="none")
    parameters = list(network.parameters())

    def gradient(images: Tensor, dtype: torch.dtype) -> Tensor:
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            real, fake = network(images).float().chunk(2)
        losses = discriminator_losses(objective, real, fake)
        total = torch.stack([loss.mean() for loss in losses.values()]).sum()
        return torch.cat([g.flatten() for g in torch.autograd.grad(total, parameters)])

    batches = [torch.rand(128, 3, 32, 32) * 2 - 1 for _ in range(4)]
    exact = torch.stack([gradient(batch, torch.float32) for batch in batches])
    rounded = torch.stack([gradient(batch, torch.bfloat16) for batch in batches])
    noise = exact.std(0).norm()
    assert (rounded - exact).norm(dim=1).mean() < 0.25 * noise
