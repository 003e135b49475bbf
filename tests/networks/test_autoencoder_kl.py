import pytest
import torch
import torch.nn.functional as F

from ganvas.models.autoencoder_kl import AutoencoderKl, AutoencoderKlConfig
from ganvas.networks.autoencoder_kl import Decoder, Encoder, groups_of, widths_of


def test_widths_and_groups_are_the_authors() -> None:
    assert widths_of(128, 3) == [128, 256, 512, 512]
    assert widths_of(128, 2) == [128, 256, 512]
    assert groups_of(128) == 32
    for width in range(1, 200):
        groups = groups_of(width)
        assert width % groups == 0
        assert width < 4 or width // groups >= 4


def test_maps_are_so_many_times_smaller() -> None:
    encoder, decoder = Encoder(3, 10, [8, 16, 16, 16], 1), Decoder(5, 3, [8, 16, 16, 16], 1)
    maps = encoder(torch.randn(2, 3, 32, 48))
    assert maps.shape == (2, 10, 4, 6)
    pictures, features = decoder(maps[:, :5])
    assert pictures.shape == (2, 3, 32, 48)
    assert features.shape == (2, 8, 32, 48)
    torch.testing.assert_close(decoder.conv_out(features), pictures)


def test_the_last_layer_is_in_float32_under_autocast() -> None:
    decoder = Decoder(4, 3, [8, 8], 1)
    with torch.autocast("cpu", torch.bfloat16):
        pictures, features = decoder(torch.randn(1, 4, 8, 8))
    assert pictures.dtype == features.dtype == torch.float32


def test_attention_is_a_softmax_over_all_places() -> None:
    attention = Encoder(3, 4, [8, 8], 1).get_submodule("mid_block.attentions.0")
    x = torch.randn(2, 8, 3, 5)
    places = F.group_norm(x, 2, eps=1e-6).flatten(2).transpose(1, 2)
    query, key, value, out = (
        attention.get_submodule(name) for name in ("to_q", "to_k", "to_v", "to_out.0")
    )
    weights = (query(places) @ key(places).transpose(1, 2) / 8**0.5).softmax(2)
    expected = x + out(weights @ value(places)).transpose(1, 2).view_as(x)
    torch.testing.assert_close(attention(x), expected)


def test_weights_bear_the_names_of_diffusers() -> None:
    """A sample of them by heart; the next test asks the library, where it is installed."""
    config = AutoencoderKlConfig(width=8, downsampling=4, adversarial_weight=0)
    shapes = {n: tuple(t.shape) for n, t in AutoencoderKl(config, (3, 16, 16)).state_dict().items()}
    for name, shape in {
        "encoder.conv_in.weight": (8, 3, 3, 3),
        "encoder.down_blocks.1.resnets.0.conv_shortcut.weight": (16, 8, 1, 1),
        "encoder.down_blocks.0.downsamplers.0.conv.bias": (8,),
        "encoder.mid_block.attentions.0.to_out.0.weight": (32, 32),
        "encoder.conv_out.weight": (8, 32, 3, 3),
        "decoder.up_blocks.0.resnets.2.norm2.weight": (32,),
        "decoder.up_blocks.1.upsamplers.0.conv.weight": (16, 16, 3, 3),
        "decoder.conv_norm_out.weight": (8,),
        "quant_conv.weight": (8, 8, 1, 1),
        "post_quant_conv.bias": (4,),
    }.items():
        assert shapes[name] == shape
    assert "encoder.down_blocks.2.downsamplers.0.conv.weight" not in shapes
    assert "decoder.up_blocks.2.upsamplers.0.conv.weight" not in shapes


@pytest.mark.parametrize(("width", "downsampling", "blocks"), [(8, 4, 1), (32, 8, 2)])
def test_diffusers_computes_the_same_with_these_weights(
    width: int, downsampling: int, blocks: int
) -> None:
    diffusers = pytest.importorskip("diffusers")
    config = AutoencoderKlConfig.parse(
        {"width": width, "downsampling": downsampling, "blocks": blocks, "adversarial_weight": 0}
    )
    model = AutoencoderKl(config, (3, 32, 24)).eval()
    widths = widths_of(width, downsampling.bit_length() - 1)
    theirs = diffusers.AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * len(widths),
        up_block_types=["UpDecoderBlock2D"] * len(widths),
        block_out_channels=widths,
        layers_per_block=blocks,
        norm_num_groups=groups_of(width),
    ).eval()
    theirs.load_state_dict(model.state_dict())
    images = torch.rand(2, 3, 32, 24) * 2 - 1
    with torch.no_grad():
        mean, log_variance = model.posterior(images)
        found = theirs.encode(images).latent_dist
        torch.testing.assert_close(mean, found.mean, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(log_variance, found.logvar, rtol=1e-4, atol=1e-5)
        pictures = theirs.decode(mean).sample
        torch.testing.assert_close(model.pictures_of(mean), pictures, rtol=1e-4, atol=1e-4)
