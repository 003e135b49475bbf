from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganvas.errors import ConfigError
from ganvas.models.autoencoder_kl import AutoencoderKl, AutoencoderKlConfig
from ganvas.models.base import Diffuses, Reads, Samples
from ganvas.models.diffusion_config import FirstStageOf, LatentDiffusionConfig, Sampling
from ganvas.models.latent_diffusion import LatentDiffusion
from ganvas.models.phase import Batch, Draws
from ganvas.models.reading import Captions
from ganvas.models.sampling import draw, scheduler_for
from ganvas.models.vqvae import VqVaeConfig
from ganvas.networks.denoiser import denoiser
from ganvas.networks.text import caption_words, make_text_encoder, make_tokenizer, words_of

KL = AutoencoderKlConfig(
    width=4, blocks=1, downsampling=4, discriminator_width=4, discriminator_layers=1
)
TEXTS = ("a red ball", "a blue ball, at night")
CAPTIONS = Captions(words_of(TEXTS), max(len(caption_words(t)) for t in TEXTS), TEXTS)
SAMPLERS = ("ddim", "dpm", "heun")


def config(condition: str = "text", **changes: Any) -> LatentDiffusionConfig:
    sizes = {"width": 8, "head_size": 8, "text_width": 8, "text_layers": 1}
    values = {"first_stage": {"model": KL}, "sampling": {"steps": 3}, "condition": condition}
    return LatentDiffusionConfig.parse({**values, **sizes, **changes})


def model(
    condition: str = "text", classes: tuple[str, ...] = (), **changes: Any
) -> LatentDiffusion:
    torch.manual_seed(0)
    captions = CAPTIONS if condition == "text" else None
    return LatentDiffusion(config(condition, **changes), (3, 16, 16), classes, captions).eval()


def batch(captions: Tensor | None = None, rows: int = 6, labels: Tensor | None = None) -> Batch:
    images = torch.rand(rows, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    draws = Draws(torch.Generator().manual_seed(1), slice(0, rows), rows)
    return Batch(images, labels, draws, captions=captions)


class Stub(nn.Module):
    """In place of the UNet: what a function makes of its inputs."""

    def __init__(self, found: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.found = found

    def forward(self, z_t: Tensor, t: Tensor, states: Tensor) -> SimpleNamespace:
        return SimpleNamespace(sample=self.found(z_t, t, states))


class Reader(nn.Module):
    """In place of the text encoder: remembers what it was given."""

    config = SimpleNamespace(model_type="clip")

    def forward(self, tokens: Tensor, attention_mask: None) -> SimpleNamespace:
        self.seen = tokens
        return SimpleNamespace(last_hidden_state=torch.zeros(*tokens.shape, 8))


def signal(t: Tensor, schedule: str) -> Tensor:
    """alpha_t^2 by the schedules' own formulas."""
    steps = torch.arange(1000, dtype=torch.float64)
    if schedule == "scaled_linear":
        beta = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    else:
        cosine = torch.cos((torch.arange(1001, dtype=torch.float64) / 1000 + 0.008) / 1.008
                           * torch.pi / 2) ** 2  # fmt: skip
        beta = (1 - cosine[steps.long() + 1] / cosine[steps.long()]).clamp(max=0.999)
    return (1 - beta).cumprod(0)[t]


def signal_between(t: Tensor, schedule: str) -> Tensor:
    """The same at times between the whole ones, as samplers have it: log(sigma / alpha) is even."""
    kept = signal(torch.arange(1000), schedule)
    below = t.double().floor().long().clamp(max=998)
    ends = ((1 - kept) / kept).log()[torch.stack([below, below + 1])]
    return 1 / (1 + torch.lerp(ends[0], ends[1], t.double() - below).exp()).float()


@pytest.mark.parametrize("schedule", ["squaredcos_cap_v2", "scaled_linear"])
@pytest.mark.parametrize("prediction", ["v", "epsilon"])
@pytest.mark.parametrize("gamma", [5.0, None])
def test_loss_is_the_papers(schedule: str, prediction: str, gamma: float | None) -> None:
    if (prediction, schedule) == ("epsilon", "squaredcos_cap_v2"):
        with pytest.raises(ConfigError, match="cannot be drawn from"):
            config("none", schedule=schedule, prediction=prediction)
        return
    m = model("none", schedule=schedule, prediction=prediction, min_snr_gamma=gamma)
    m.measure_scale([batch().images])
    seen: list[tuple[Tensor, Tensor]] = []

    def guess(z_t: Tensor, t: Tensor, states: Tensor) -> Tensor:
        seen.append((z_t, t))
        return 0.1 * z_t

    m.unet = Stub(guess)
    losses = m.denoising_loss(batch())
    (z_t, t), draws = seen[0], batch().draws
    expected_t = (draws.uniform() * 1000).long()
    eps = draws.normal(*m.latent_shape).double()
    z_0 = ((m.first_stage.maps_of(batch().images) - m.latent_mean) / m.latent_std).double()
    assert torch.equal(t, expected_t)
    kept = signal(t, schedule)[:, None, None, None]
    alpha, sigma, snr = kept.sqrt(), (1 - kept).sqrt(), (kept / (1 - kept)).flatten()
    torch.testing.assert_close(z_t.double(), alpha * z_0 + sigma * eps, rtol=1e-4, atol=1e-4)
    target = alpha * eps - sigma * z_0 if prediction == "v" else eps
    errors = (0.1 * z_t - target).square().mean((1, 2, 3))
    weight = torch.ones(6)
    if gamma is not None:
        weight = snr.clamp(max=gamma) / (snr + 1 if prediction == "v" else snr)
    torch.testing.assert_close(losses.total, (weight * errors).mean().float(), rtol=1e-3, atol=0)
    torch.testing.assert_close(losses.parts["error"], errors.mean().float(), rtol=1e-3, atol=0)


@pytest.mark.parametrize("prediction", ["v", "epsilon"])
@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_samplers_undo_noise_that_is_predicted_perfectly(
    sampler: Any, prediction: Any, steps: int
) -> None:
    schedule = "squaredcos_cap_v2" if prediction == "v" else "scaled_linear"
    settings = config("none", prediction=prediction, schedule=schedule)
    z_0, noise = torch.randn(2, 3, 4, 2, 2)

    def perfect(z_t: Tensor, t: Tensor) -> Tensor:
        kept = signal_between(t, schedule)
        eps = (z_t - kept.sqrt() * z_0) / (1 - kept).sqrt()
        velocity: Tensor = kept.sqrt() * eps - (1 - kept).sqrt() * z_0
        return velocity if prediction == "v" else eps

    finished: list[int] = []
    found = draw(scheduler_for(settings, sampler), perfect, noise, steps, finished.append)
    torch.testing.assert_close(found, z_0, rtol=1e-2, atol=5e-3)
    assert sum(finished) == 3


@pytest.mark.parametrize("prediction", ["v", "epsilon"])
def test_ddim_is_that_of_diffusers_where_its_steps_divide_the_times(prediction: Any) -> None:
    from diffusers import DDIMScheduler

    schedule = "squaredcos_cap_v2" if prediction == "v" else "scaled_linear"
    ours = scheduler_for(config("none", prediction=prediction, schedule=schedule), "ddim")
    names = ("beta_start", "beta_end", "beta_schedule", "prediction_type", "timestep_spacing")
    theirs = DDIMScheduler(**{n: ours.config[n] for n in names}, clip_sample=False)
    noise, other = torch.randn(2, 3, 4, 2, 2)
    drawn = [
        draw(scheduler, lambda z, t: (z + other).tanh(), noise, 10, lambda i: None)
        for scheduler in (ours, theirs)
    ]
    torch.testing.assert_close(*drawn, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_more_steps_come_closer_to_the_exact_solution(sampler: Any) -> None:
    """For latents that are normal, with a deviation of s, the exact z_0 of z_T is s z_T."""
    settings, s = config("none"), 0.5

    def exact(z_t: Tensor, t: Tensor) -> Tensor:
        kept = signal_between(t, "squaredcos_cap_v2")
        variance = kept * s**2 + 1 - kept
        return kept.sqrt() * (1 - kept).sqrt() * (1 - s**2) / variance * z_t

    noise = torch.randn(64, 4, 2, 2)
    errors = [
        float((draw(scheduler_for(settings, sampler), exact, noise, n, lambda i: None) - s * noise)
              .abs().max())
        for n in (5, 20, 80)
    ]  # fmt: skip
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.05


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize(("prediction", "schedule"), [("v", "squaredcos_cap_v2"),
                                                      ("v", "scaled_linear"),
                                                      ("epsilon", "scaled_linear")])  # fmt: skip
def test_small_errors_of_the_network_stay_small(
    sampler: Any, prediction: Any, schedule: Any
) -> None:
    """Standard normal latents stay so, as every network errs by a little."""
    settings = config("none", prediction=prediction, schedule=schedule)
    torch.manual_seed(0)

    def nearly(z_t: Tensor, t: Tensor) -> Tensor:
        sigma = (1 - signal_between(t, schedule)).sqrt()
        exact = torch.zeros_like(z_t) if prediction == "v" else sigma * z_t
        return exact + 0.02 * torch.randn_like(z_t)

    drawn = draw(
        scheduler_for(settings, sampler), nearly, torch.randn(64, 4, 4, 4), 20, lambda i: None
    )
    assert float(drawn.std()) == pytest.approx(1, abs=0.1)


def test_guidance_goes_on_from_the_empty_caption_through_the_asked_one() -> None:
    m = model()
    m.unet = Stub(lambda z, t, states: 0.1 * z + states[..., 0].mean(1)[:, None, None, None])
    latents, tokens = m.sample_latents(2, 0), m.tokenise(TEXTS)
    drawn = {}
    for guidance in (0.0, 1.0, 3.0):
        with m.drawing(Sampling(sampler="ddim", steps=1, guidance=guidance)):
            drawn[guidance] = m._drawn(latents.reshape(-1, *m.latent_shape), tokens)
    torch.testing.assert_close(drawn[3.0], drawn[0.0] + 3 * (drawn[1.0] - drawn[0.0]))
    assert not torch.allclose(drawn[1.0], drawn[0.0])
    nothing = m.tokenise(["", ""], lenient=True)
    with m.drawing(Sampling(sampler="ddim", steps=1, guidance=1.0)):
        empty = m._drawn(latents.reshape(-1, *m.latent_shape), nothing)
    torch.testing.assert_close(drawn[0.0], empty)


def test_captions_are_left_out_as_often_as_asked() -> None:
    m = model(caption_dropout=0.25).train()
    reader = Reader()
    m.text_encoder = reader
    m.denoising_loss(batch(m.tokenise([TEXTS[0]] * 400), rows=400))
    nothing = m.tokenise([""], lenient=True)
    empty = (reader.seen == nothing).all(1)
    assert 70 <= int(empty.sum()) <= 130  # 100 expected, with a deviation of 9
    assert torch.equal(reader.seen[~empty], m.tokenise([TEXTS[0]]).expand(int((~empty).sum()), -1))


def test_pictures_depend_on_their_seed_and_not_on_their_neighbours() -> None:
    m = model()
    four = m.sample(4, seed=5, texts=[TEXTS[0]])
    one = m.sample(1, seed=7, texts=[TEXTS[0]])
    torch.testing.assert_close(four[2:3], one, rtol=1e-4, atol=1e-4)
    assert torch.equal(four, m.sample(4, seed=5, texts=[TEXTS[0]]))
    assert not torch.allclose(four[0], four[1])
    assert four.shape == (4, 3, 16, 16)
    assert four.abs().max() <= 1


def test_examples_are_drawn_in_turn_where_nothing_is_asked_for() -> None:
    m = model()
    together = m.sample(70, seed=0)
    asked = m.sample(70, seed=0, texts=TEXTS)
    assert torch.equal(together, asked)
    only = m.sample(70, seed=0, texts=[TEXTS[1]])
    torch.testing.assert_close(together[65], only[65], rtol=1e-4, atol=1e-4)  # of the second batch
    assert not torch.allclose(together[64], only[64], rtol=1e-4, atol=1e-4)
    assert m.examples == TEXTS


def test_classes_are_captions_by_their_names() -> None:
    m = model("class", classes=("red car", "cat"))
    assert m.vocabulary == ("car", "cat", "red")
    latents = m.sample_latents(2, 0)
    by_number = m.decode(latents, torch.tensor([1, 0]))
    by_words = m.decode(latents, m.tokenise(["cat", "red car"]))
    assert torch.equal(by_number, by_words)
    assert torch.equal(m.decode(latents), m.decode(latents, torch.tensor([0, 1])))
    assert m.denoising_loss(batch(labels=torch.arange(6) % 2)).total.isfinite()


def test_without_condition_nothing_is_asked() -> None:
    m = model("none", classes=("a", "b"))
    assert m.classes == ()
    latents = m.sample_latents(2, 0)
    with m.drawing(Sampling(steps=2, guidance=7)):
        guided = m.decode(latents)
    with m.drawing(Sampling(steps=2, guidance=1)):
        assert torch.equal(guided, m.decode(latents))


def test_drawing_reports_every_picture_once_and_ends() -> None:
    m = model()
    finished: list[int] = []
    with m.drawing(Sampling(sampler="heun", steps=4), finished.append):
        m.sample(70)
    assert sum(finished) == 70
    m.sample(1)
    assert sum(finished) == 70


def test_scale_is_that_of_every_channel() -> None:
    m = model("none")
    images = torch.rand(40, 3, 16, 16) * 2 - 1
    m.measure_scale(images.split(16))
    maps = (m.first_stage.maps_of(images) - m.latent_mean) / m.latent_std
    torch.testing.assert_close(maps.mean((0, 2, 3)), torch.zeros(4), rtol=0, atol=1e-4)
    torch.testing.assert_close(maps.var((0, 2, 3), correction=0), torch.ones(4))
    assert {"latent_mean", "latent_std"} <= m.state_dict().keys()


def test_scale_of_nothing_and_of_a_broken_first_stage() -> None:
    m = model("none")
    with pytest.raises(ConfigError, match="without pictures"):
        m.measure_scale([])
    with pytest.raises(ConfigError, match="not finite"):
        m.measure_scale([torch.full((1, 3, 16, 16), torch.nan)])


def test_first_stage_is_taken_and_stays_as_it_is() -> None:
    trained = AutoencoderKl(KL, (3, 16, 16))
    m = model()
    m.take_first_stage(trained.state_dict())  # with those of a discriminator, too
    for name, tensor in m.first_stage.state_dict().items():
        assert torch.equal(tensor, trained.state_dict()[name])
    m.train()
    assert not m.first_stage.training
    assert m.unet.training
    assert m.text_encoder.training
    m.denoising_loss(batch(m.tokenise(TEXTS * 3))).total.backward()
    assert all(p.grad is None for p in m.first_stage.parameters())
    for network in (m.unet, m.text_encoder):
        assert any(p.grad is not None and p.grad.any() for p in network.parameters())
    (phase,) = m.phases()
    assert phase.trains == m.averaged == ("unet", "text_encoder")


def test_first_stage_that_does_not_fit() -> None:
    with pytest.raises(ConfigError, match="16x16 pixels in 3 channels"):
        model().take_first_stage(AutoencoderKl(KL, (1, 16, 16)).state_dict())
    with pytest.raises(ConfigError, match="missing"):
        model().take_first_stage({})
    with pytest.raises(ConfigError, match="--first-stage runs/"):
        model(first_stage=FirstStageOf())


@pytest.mark.parametrize("size", [(16, 16), (20, 12), (17, 23)])
def test_vqvae_and_odd_sizes(size: tuple[int, int]) -> None:
    stage = FirstStageOf(model=VqVaeConfig(width=8, codes=8, code_size=4))
    m = LatentDiffusion(config("none", first_stage=stage), (1, *size)).eval()
    assert m.sample(2).shape == (2, 1, *size)
    images = torch.zeros(2, 1, *size)
    draws = Draws(torch.Generator().manual_seed(0), slice(0, 2), 2)
    assert m.denoising_loss(Batch(images, None, draws)).total.isfinite()


def test_captions_that_cannot_be_drawn() -> None:
    m = model()
    for text, reason in [
        ("a red monocle", "'monocle': never in a caption.*\"a red ball\""),
        ("a rod ball", "Did you mean 'red'"),
        (" ", "is empty"),
        ("a ball " * 9, "takes 18 numbers.*reads 6"),
        ("a \udcff ball", r"'\?': never in a caption"),  # no UTF-8 on the command line
    ]:
        with pytest.raises(ConfigError, match=reason):
            m.sample(1, texts=[text])
    assert m.tokenise(["a red monocle", "a ball " * 9], lenient=True).shape == (2, 8)
    assert m.tokenise(["half a letter: \ud800"], lenient=True).shape == (1, 8)
    with pytest.raises(ConfigError, match=r"--set model\.condition=class"):
        model("none").sample(1, labels=[0])
    with pytest.raises(ConfigError, match=r"model\.condition=text"):
        model("none").sample(1, texts=["a ball"])
    with pytest.raises(ConfigError, match="takes classes: a, b"):
        model("class", classes=("a", "b")).sample(1, texts=["a ball"])


def test_data_that_lacks_what_the_condition_asks_for() -> None:
    with pytest.raises(ConfigError, match="the pictures have none"):
        LatentDiffusion(config("text"), (3, 16, 16))
    with pytest.raises(ConfigError, match="have the same words"):
        model("class", classes=("Cat", "cat"))
    with pytest.raises(ConfigError, match="guidance"):
        Sampling.parse({"guidance": float("inf")})
    with pytest.raises(ConfigError, match="sizes from 0 to 1"):
        config(attention=[2])


def test_an_encoder_of_a_folder_is_not_trained(tmp_path: Path) -> None:
    tokenizer = make_tokenizer(CAPTIONS.vocabulary, 8)
    make_text_encoder(tokenizer, 8, 1).save_pretrained(tmp_path)  # type: ignore[operator]
    tokenizer.save_pretrained(tmp_path)
    m = model(text_encoder=str(tmp_path)).train()
    assert m.averaged == ("unet",)
    assert not m.text_encoder.training
    assert m.denoising_loss(batch(m.tokenise(TEXTS * 3))).total.isfinite()
    assert m.eval().sample(1, texts=["an orange monocle"]).shape == (1, 3, 16, 16)
    with pytest.raises(ConfigError, match="too long"):
        m.tokenise(["a ball " * 9])


def test_attention_written_out_is_the_fused_one() -> None:
    from diffusers.models.attention_processor import AttnProcessor2_0

    unet: Any = denoiser((4, 4, 4), (8, 16), 1, (0, 1), 4, 8)
    inputs = torch.randn(2, 4, 4, 4), torch.tensor([3, 900]), torch.randn(2, 5, 8)
    written = unet(*inputs).sample
    unet.set_attn_processor(AttnProcessor2_0())
    torch.testing.assert_close(written, unet(*inputs).sample, rtol=1e-4, atol=1e-5)


def test_contracts() -> None:
    for contract in (Samples, Reads, Diffuses):
        assert isinstance(model(), contract)
