"""From the records of an authors' file to a configuration of this package and its weights.

Sizes are read off the weights' shapes. The settings that shapes do not show (filters, learning rate
multipliers, ...) have to be those of the papers, which these networks have built in; a file made
with others is refused, naming the first. Not taken over: what belongs to a training that goes on
(Adam's moments are not in the files, the strength of ADA is), and `conv_clamp`, which cuts
activations off at +-256 to keep float16 from overflowing; here such layers run in float32 or
bfloat16, which do not.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from torch import Tensor

from ganvas.interop import r3gan_names, stylegan2_names, stylegan3_names
from ganvas.interop.official_records import Network, network, printable
from ganvas.interop.pickles import Record, RefusedError, shown

Translate = Callable[[Mapping[str, Tensor]], dict[str, Tensor]]

_ANY = object()
_STYLEGAN_SETTINGS: dict[str, object] = {
    **dict.fromkeys(
        (
            *("z_dim", "c_dim", "w_dim", "img_resolution", "img_channels", "num_layers"),
            *("channel_base", "channel_max", "cmap_dim", "embed_features", "layer_features"),
            *("num_fp16_res", "fp16_channels_last", "fused_modconv_default", "conv_clamp"),
            *("w_avg_beta", "magnitude_ema_beta", "conv_kernel", "use_radial_filters"),
            *("freeze_layers", "freeze_embed", "mbstd_group_size"),
        ),
        _ANY,
    ),
    "lr_multiplier": 0.01,
    "activation": "lrelu",
    "resample_filter": [1, 3, 3, 1],
    "use_noise": True,
    "kernel_size": 3,
    "mbstd_num_channels": 1,
    # StyleGAN3's
    "num_critical": 2,
    "first_cutoff": 2,
    "first_stopband": 2**2.1,
    "last_stopband_rel": 2**0.3,
    "margin_size": 10,
    "output_scale": 0.25,
    "filter_size": 6,
    "lrelu_upsampling": 2,
}
"""The arguments that the authors' networks take, and the value that each must have here."""


@dataclass(frozen=True)
class Weights:
    """A network of a file, and how its weights are called here."""

    network: Network
    translate: Translate

    def state(self) -> dict[str, Tensor]:
        """The weights under this package's names, float32."""
        return self.translate(self.network.copied())


_BLOCK = re.compile(r"synthesis\.b(\d{1,5})\.torgb\.weight", re.ASCII)
_LAYER = re.compile(r"synthesis\.L(\d{1,2})_(\d{1,5})_\d{1,5}\.weight", re.ASCII)
_MAPPED = re.compile(r"mapping\.fc\d{1,3}\.weight", re.ASCII)
_STAGE_BLOCK = re.compile(
    r"Model\.MainLayers\.(\d{1,2})\.Layers\.\d{1,3}\.LinearLayer2\.Layer\.weight", re.ASCII
)
_STYLEGAN3_LAYERS, _MOST_NOTED, _MOST_CLASSES = 14, 20, 100_000


@dataclass(frozen=True)
class Official:
    """What an authors' file holds."""

    recipe: str
    """The recipe that its training is nearest to."""
    model: dict[str, object]
    """The settings of the model in which it differs from that recipe."""
    shape: tuple[int, int, int]
    classes: int
    averaged: Weights
    """The generator to use."""
    generator: Weights | None
    """The generator in training."""
    discriminator: Weights | None
    notes: tuple[str, ...] = ()
    """What was left out, and why."""
    training_set: dict[str, object] = field(default_factory=dict)
    """The plain ones of the file's training_set_kwargs."""
    licence: str = ""
    """The file's own field, else the notice that came with its networks."""


def understand(data: object) -> Official:
    """What the data of a file (`official_records.read_official`) are in this package's terms.

    Raises RefusedError where they are not networks that this package has.
    """
    if not isinstance(data, dict):
        raise RefusedError("it is a pickle, but not a dict of networks")
    modules = {name: value for name, value in data.items() if isinstance(value, Record)}
    if "G_ema" not in modules:
        names = ", ".join(shown(name) for name in list(data)[:8])
        raise RefusedError(f"it has no network G_ema; what it has: {names or 'nothing'}")
    found = {name: network(modules[name]) for name in ("G_ema", "G", "D") if name in modules}
    official = _family(found["G_ema"])(found)
    training_set = data.get("training_set_kwargs")
    licences = [v for k, v in data.items() if re.fullmatch("licen[cs]e", k, re.IGNORECASE)]
    own = [printable(text) for text in licences if isinstance(text, str)]
    if official.classes > _MOST_CLASSES:
        raise RefusedError(f"it has {official.classes:,} classes, more than any")
    return replace(
        official,
        training_set=_plain(training_set) if isinstance(training_set, dict) else {},
        licence=own[0] if own else found["G_ema"].notice,
    )


def _family(averaged: Network) -> Callable[[dict[str, Network]], Official]:
    if "synthesis.b4.const" in averaged.state:
        return _stylegan2
    if "synthesis.input.freqs" in averaged.state:
        return _stylegan3
    if "Model.AggregationLayer.Layer.weight" in averaged.state:
        return _r3gan
    raise RefusedError(
        f"its G_ema, of class {shown(averaged.kind)}, is no generator of StyleGAN2, StyleGAN3 or "
        "R3GAN"
    )


def _stylegan2(networks: dict[str, Network]) -> Official:
    averaged = networks["G_ema"]
    resolution = max((int(found[1]) for found in _matches(_BLOCK, averaged)), default=0)
    finest = f"synthesis.b{resolution}"
    model = {
        "networks": "stylegan2",
        "width": _sizes(averaged, f"{finest}.conv1.weight", 4)[0],
        "max_width": _sizes(averaged, "synthesis.b4.const", 3)[0],
    }
    channels = _sizes(averaged, f"{finest}.torgb.weight", 4)[0]
    return _stylegan(
        networks, "stylegan2", model, (channels, resolution, resolution),
        stylegan2_names.generator_from_official,
    )  # fmt: skip


def _stylegan3(networks: dict[str, Network]) -> Official:
    averaged = networks["G_ema"]
    layers = sorted((int(f[1]), int(f[2]), f[0]) for f in _matches(_LAYER, averaged))
    if len(layers) != _STYLEGAN3_LAYERS + 1:
        raise RefusedError(
            f"its StyleGAN3 has {len(layers) - 1} layers, not the paper's {_STYLEGAN3_LAYERS}"
        )
    _, resolution, last = layers[-1]
    channels, width, *_ = _sizes(averaged, last, 4)
    first = _sizes(averaged, layers[0][2], 4)
    down = averaged.state.get(layers[0][2].replace(".weight", ".down_filter"))
    radial = down is not None and len(down.shape) == 2
    if (first[2], radial) not in {(1, True), (3, False)}:
        raise RefusedError("its StyleGAN3 is neither configuration T nor R of the paper")
    kind = "stylegan3-r" if radial else "stylegan3-t"
    model = {"networks": kind, "width": width, "max_width": first[0]}
    return _stylegan(
        networks, kind, model, (channels, resolution, resolution),
        stylegan3_names.generator_from_official,
    )  # fmt: skip


def _stylegan(
    networks: dict[str, Network],
    recipe: str,
    model: dict[str, object],
    shape: tuple[int, int, int],
    translate: Translate,
) -> Official:
    """What StyleGAN2 and 3 share: the mapping network and the discriminator."""
    averaged, D = networks["G_ema"], networks.get("D")
    _check_settings(averaged)
    notes: tuple[str, ...] = ()
    try:
        _check_settings(D)
    except RefusedError as reason:  # pictures can be drawn without it
        D, notes = None, (f"The discriminator was left out: {reason}.",)
    classes, embedded = 0, 0
    if "mapping.embed.weight" in averaged.state:
        embedded, classes = _sizes(averaged, "mapping.embed.weight", 2)
    inputs = _sizes(averaged, "mapping.fc0.weight", 2)[1]
    mapping_layers = len(_matches(_MAPPED, averaged))
    w = _sizes(averaged, f"mapping.fc{mapping_layers - 1}.weight", 2)[0]
    if inputs - embedded != w:
        raise RefusedError(f"its z has {inputs - embedded} numbers, its w {w}: here both are alike")
    return Official(
        recipe=recipe,
        model={
            **model, **_discriminator_widths(D, shape[1]), "latent_size": w,
            "mapping_layers": mapping_layers, "conditional": classes > 0,
        },
        shape=shape,
        classes=classes,
        averaged=Weights(averaged, translate),
        generator=_weights(networks.get("G"), translate),
        discriminator=_weights(D, stylegan2_names.discriminator_from_official),
        notes=notes,
    )  # fmt: skip


def _discriminator_widths(D: Network | None, resolution: int) -> dict[str, object]:
    """The settings of a discriminator's widths; the generator's where it is of another kind."""
    widths: dict[str, object] = {"discriminator_width": None, "discriminator_max_width": None}
    if D is None:
        return widths
    for setting, name in zip(widths, (f"b{resolution}.fromrgb.bias", "b4.fc.bias"), strict=True):
        if name in D.state:
            widths[setting] = D.state[name].count
    return widths


def _r3gan(networks: dict[str, Network]) -> Official:
    averaged = networks["G_ema"]
    blocks = [int(found[1]) for found in _matches(_STAGE_BLOCK, averaged)]
    counts = {blocks.count(stage) for stage in blocks}
    if len(counts) != 1:
        raise RefusedError("its R3GAN has stages of different depths, which none here has")
    channels, width, *_ = _sizes(averaged, "Model.AggregationLayer.Layer.weight", 4)
    latent_size = _sizes(averaged, "Model.MainLayers.0.Layers.0.LinearLayer.weight", 2)[1]
    classes = 0
    if "Model.EmbeddingLayer.weight" in averaged.state:
        embedded, classes = _sizes(averaged, "Model.EmbeddingLayer.weight", 2)
        latent_size -= embedded
    resolution = 4 * 2 ** max(blocks)
    return Official(
        recipe="r3gan",
        model={
            "width": width, "blocks": counts.pop(), "latent_size": latent_size,
            "conditional": classes > 0,
        },
        shape=(channels, resolution, resolution),
        classes=classes,
        averaged=Weights(averaged, _r3gan_generator),
        generator=_weights(networks.get("G"), _r3gan_generator),
        discriminator=_weights(networks.get("D"), _r3gan_discriminator),
    )  # fmt: skip


def _r3gan_generator(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return r3gan_names.generator_from_official(_inner(state))


def _r3gan_discriminator(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return r3gan_names.discriminator_from_official(_inner(state))


def _inner(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The names within the authors' wrapper of each network."""
    return {name.removeprefix("Model."): tensor for name, tensor in state.items()}


def _weights(of: Network | None, translate: Translate) -> Weights | None:
    return None if of is None else Weights(of, translate)


def _matches(pattern: re.Pattern[str], of: Network) -> list[re.Match[str]]:
    return [found for found in map(pattern.fullmatch, of.state) if found]


def _sizes(of: Network, name: str, dimensions: int) -> tuple[int, ...]:
    """The shape of a tensor that a network has to have."""
    tensor = of.state.get(name)
    if tensor is None or len(tensor.shape) != dimensions:
        raise RefusedError(f"it has no {shown(name)} of {dimensions} dimensions")
    return tensor.shape


def _check_settings(of: Network | None) -> None:
    """Raise RefusedError where a network was made with a setting that there is none of here."""
    for name, value in ({} if of is None else of.settings).items():
        expected = _STYLEGAN_SETTINGS.get(name)
        if name == "architecture":
            expected = "resnet" if of is not None and of.kind == "Discriminator" else "skip"
        if expected is not _ANY and value is not None and value != expected:
            raise RefusedError(
                f"it was made with {shown(name)}={_brief(value)}, which the networks here do not "
                f"have{'' if expected is None else f' (only {expected})'}"
            )


def _brief(value: object) -> str:
    """A setting for a message; a structure of the file is not written out."""
    if isinstance(value, str):
        return shown(value)
    is_short = isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < 2**63)
    return str(value) if is_short else "something else"


def _plain(settings: dict[str, object]) -> dict[str, object]:
    """The texts and numbers among settings, for the user to read."""
    return {
        printable(name): printable(value) if isinstance(value, str) else value
        for name, value in list(settings.items())[:_MOST_NOTED]
        if isinstance(value, str | bool | float) or (isinstance(value, int) and abs(value) < 2**63)
    }
