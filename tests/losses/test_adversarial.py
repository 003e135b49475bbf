import pytest
import torch

from ganvas.losses import adversarial


def test_losses_are_the_logarithms_of_the_paper() -> None:
    logits = torch.linspace(-8, 8, 33, dtype=torch.float64)
    d = torch.sigmoid(logits)
    torch.testing.assert_close(adversarial.real_is_real(logits), -d.log())
    torch.testing.assert_close(adversarial.fake_is_fake(logits), -(1 - d).log())
    torch.testing.assert_close(adversarial.minimax(logits), (1 - d).log())
    torch.testing.assert_close(adversarial.non_saturating(logits), -d.log())


@pytest.mark.parametrize("logit", [-200.0, 200.0])
def test_losses_stay_finite_where_a_sigmoid_rounds_to_0_or_1(logit: float) -> None:
    value = torch.tensor(logit)
    for loss in (adversarial.real_is_real, adversarial.fake_is_fake, adversarial.minimax):
        assert torch.isfinite(loss(value))


def test_minimax_saturates_and_non_saturating_does_not() -> None:
    """Where D is sure of a fake, eq. 1 gives G next to no gradient (section 3 of the paper)."""
    gradients = {}
    for name, loss in adversarial.GENERATOR_LOSSES.items():
        logit = torch.tensor(-10.0, requires_grad=True)
        (gradients[name],) = torch.autograd.grad(loss(logit), logit)
    assert gradients["minimax"].abs() < 1e-4
    assert gradients["non-saturating"].abs() > 0.99
    assert all(gradient < 0 for gradient in gradients.values())  # both push the logit up
