"""What every registered model must do; a new recipe is tested by being registered."""

from pathlib import Path

import pytest
import torch

from ganvas import api
from ganvas.errors import ConfigError
from ganvas.models import build_model
from ganvas.models.base import Encodes, LatentModel, Model, Reads, Samples
from ganvas.models.phase import Batch, Draws
from ganvas.models.translation import TranslationModel
from ganvas.recipes import RECIPES
from ganvas.training.loop import Reason
from tests.tiny import (
    DISTINCT,
    DRAWING,
    OTHER_SIZES,
    TAKING_CLASSES,
    TRANSLATING,
    assert_same_bits,
    final_state,
    is_same,
    model_of,
    tiny,
    train_quietly,
)

every_recipe = pytest.mark.parametrize("recipe", DISTINCT)
every_drawing = pytest.mark.parametrize("recipe", DRAWING)
every_conditional = pytest.mark.parametrize("recipe", TAKING_CLASSES)
every_translating = pytest.mark.parametrize("recipe", TRANSLATING)


@every_recipe
def test_trains_saves_and_loads(recipe: str, tmp_path: Path) -> None:
    run = train_quietly(tiny(recipe), tmp_path / "run")
    for name in ("config.yaml", "data.json", "log.jsonl", "report.html"):
        assert (run / name).stat().st_size > 0
    assert len(list((run / "samples").glob("*.png"))) == 3  # at 0, 48 and 96 images
    assert [p.name for p in sorted((run / "checkpoints").iterdir())] == ["000000064", "000000096"]
    load = api.load_translator if recipe in TRANSLATING else api.load
    model = load(run, device="cpu")
    assert not model.training
    before = {n: t for n, t in final_state(run).items() if n.startswith("weights/")}
    after = {f"weights/{name}": tensor for name, tensor in model.state_dict().items()}
    assert_same_bits(before, {name: after[name] for name in before})
    unsaved = {name.split("/")[1].split(".")[0] for name in after.keys() - before.keys()}
    assert unsaved == ({"pool_a", "pool_b"} if recipe.startswith("cyclegan") else set())


@every_recipe
def test_same_seed_same_weights_and_another_seed_others(recipe: str, tmp_path: Path) -> None:
    short = tiny(recipe, "training.images=16")
    first = final_state(train_quietly(short, tmp_path / "a"))
    second = final_state(train_quietly(short, tmp_path / "b"))
    other = final_state(train_quietly(tiny(recipe, "training.images=16", "training.seed=1"),
                                      tmp_path / "c"))  # fmt: skip
    assert_same_bits(first, second)
    assert any(not is_same(first[name], other[name]) for name in first)


@every_recipe
def test_interrupted_and_resumed_is_bit_identical(
    recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = final_state(train_quietly(tiny(recipe), tmp_path / "whole"))
    run = tmp_path / "parts"
    stop_after(5, monkeypatch)
    train_quietly(tiny(recipe), run)
    assert int(max(p.name for p in (run / "checkpoints").iterdir())) in (40, 80)
    monkeypatch.undo()
    api.resume(run, say=lambda line: None)
    assert_same_bits(whole, final_state(run))


def stop_after(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if Ctrl-C were pressed during that step."""
    from ganvas.training import loop

    calls = 0
    run_loop = loop.train

    def interrupted(*arguments: object) -> Reason:
        def stop() -> bool:
            nonlocal calls
            calls += 1
            return calls >= steps

        *before, _, judge = arguments
        return run_loop(*before, stop, judge)  # type: ignore[arg-type, call-arg]

    monkeypatch.setattr(api, "run_loop", interrupted)


@every_drawing
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size", [(16, 16), (16, 24)])
@pytest.mark.parametrize("conditional", [False, True])
def test_shapes_and_ranges(
    recipe: str, channels: int, size: tuple[int, int], conditional: bool
) -> None:
    if recipe not in TAKING_CLASSES and conditional:
        pytest.skip("takes no classes")
    shape = (channels, *size)
    config = tiny(recipe, *classes(recipe, conditional))
    model = model_of(config, shape, ("cat", "dog")).eval()
    assert isinstance(model, LatentModel)
    images = torch.rand(5, *shape) * 2 - 1
    labels = torch.tensor([0, 1, 0, 1, 0]) if conditional else None
    assert model.preview(images, labels, seed=0).shape[1:] == shape
    assert model.decode(torch.randn(5, model.latent_size), labels).shape == (5, *shape)
    if isinstance(model, Encodes):
        assert model.encode(images, labels).shape == (5, model.latent_size)
    if isinstance(model, Samples):
        drawn = model.sample(6, seed=3)
        assert drawn.shape == (6, *shape)
        assert drawn.min() >= -1
        assert drawn.max() <= 1
        assert torch.allclose(drawn[2:], model.sample(4, seed=5, labels=None), atol=1e-5)


def classes(recipe: str, conditional: bool) -> list[str]:
    """The setting, where the model has it."""
    return [f"model.conditional={str(conditional).lower()}"] if recipe in TAKING_CLASSES else []


@every_translating
@pytest.mark.parametrize("channels", [(1, 3), (3, 3), (4, 1)])
@pytest.mark.parametrize("size", [(16, 16), (16, 24)])
def test_shapes_and_ranges_of_translations(
    recipe: str, channels: tuple[int, int], size: tuple[int, int]
) -> None:
    shape, target_shape = ((count, *size) for count in channels)
    same = channels[0] == channels[1]
    settings = [] if same or recipe == "pix2pix" else ["model.identity_weight=0"]
    model = build_model(tiny(recipe, *settings).model, shape, (), target_shape).eval()
    assert isinstance(model, TranslationModel)
    images, targets = (torch.rand(2, *s) * 2 - 1 for s in (shape, target_shape))
    sheet = model.preview(images, None, seed=0, targets=targets)
    assert sheet.shape[1:] == (shape if same else (3, *size))
    assert len(sheet) == 2 * 3 * len(model.directions)
    for direction in model.directions:
        inputs, outputs = model.channels(direction)
        for sides in ((4, 5), (31, 18), size):
            result = model.translate(torch.rand(2, inputs, *sides) * 2 - 1, direction)
            assert result.shape == (2, outputs, *sides)
            assert result.dtype == torch.float32
            assert result.abs().max() <= 1


@every_drawing
def test_labels_matter_only_to_conditional_models(recipe: str) -> None:
    for conditional in (False, True)[: 1 + (recipe in TAKING_CLASSES)]:
        config = tiny(recipe, *classes(recipe, conditional))
        torch.manual_seed(0)
        model = model_of(config, (3, 16, 16), ("cat", "dog")).eval()
        assert isinstance(model, LatentModel)
        latents = torch.randn(4, model.latent_size)
        move(model)
        if not conditional:
            with pytest.raises(ConfigError, match="without classes"):
                model.decode(latents, torch.zeros(4, dtype=torch.long))
            continue
        cats = model.decode(latents, torch.zeros(4, dtype=torch.long))
        dogs = model.decode(latents, torch.ones(4, dtype=torch.long))
        assert not torch.allclose(cats, dogs)


@every_recipe
def test_phases_reach_every_weight(recipe: str) -> None:
    """A network left out of the losses would silently stay as it was."""
    model = model_of(tiny(recipe, *classes(recipe, True)), (3, 16, 16), ("a", "b"), (3, 16, 16))
    move(model)
    idle = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    for progress in (0.0, 0.2, 0.9):  # some networks grow
        for phase in model.phases():
            draws = Draws(torch.Generator().manual_seed(0), slice(0, 8), 8)
            batch = Batch(torch.rand(8, 3, 16, 16) * 2 - 1, torch.arange(8) % 2, draws)
            batch.targets = torch.rand(8, 3, 16, 16) * 2 - 1
            if isinstance(model, Reads):
                batch.captions = model.tokenise(["a red ball", "a blue ball"] * 4)
            batch.progress = progress
            total = phase.loss(batch).total
            assert torch.isfinite(total)
            assert total.ndim == 0
            trained = {
                name: parameter for name, parameter in model.named_parameters()
                if name.split(".")[0] in phase.trains and parameter.requires_grad
            }  # fmt: skip
            gradients = torch.autograd.grad(total, list(trained.values()), allow_unused=True)
            moved = zip(trained, gradients, strict=True)
            idle -= {name for name, gradient in moved if gradient is not None and gradient.any()}
    # A constant added to all of D's outputs is no matter where only their difference counts.
    assert idle <= {"discriminator.head.linear.bias"}


def move(model: Model) -> None:
    """As if it had been trained: some layers begin at zero, and cut off what is before them."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))


@every_conditional
def test_asking_for_classes_that_do_not_exist_is_an_error(recipe: str) -> None:
    with pytest.raises(ConfigError, match="the data has none"):
        build_model(tiny(recipe, "model.conditional=true").model, (3, 16, 16), ())


def test_recipes_left_out_differ_in_numbers_only() -> None:
    free = {
        "width", "max_width", "latent_size", "mapping_layers", "generator", "discriminator",
        "discriminator_width", "discriminator_max_width", "r1_gamma", "path_length_weight",
        "style_mixing", "discriminator_layers", "blocks", "code_size", "optimizer", "downsampling",
        "adversarial_from", "decay", "multipliers", "attention", "head_size", "text_width",
        "text_layers", "first_stage", "condition", "sampling", "prediction", "schedule",
        "min_snr_gamma",
    }  # fmt: skip
    for name, like in OTHER_SIZES.items():
        model, other = (RECIPES[n].model.model_dump(exclude=free) for n in (name, like))
        assert model == other
