"""One contract for all codecs: the one that ships, and tiny random ones of diffusers' classes."""

import pytest
import tiny_models
import torch
from torch.nn import functional as F

from fusion_core.errors import UsageError, WeightsError
from fusion_core.models.mmaif.codec import EmbeddedCodec, open_codec
from fusion_core.models.mmaif.codec.network import TinyAutoencoder
from fusion_core.models.mmaif.codec.weights import SHIPPED, TAEF2_FILES, load_codec, save_codec


def _embedded(folder):
    torch.manual_seed(0)
    network = TinyAutoencoder()
    network.mean.uniform_(-1, 1)
    network.deviation.uniform_(0.5, 2)
    save_codec(network, folder / "codec.safetensors", {})
    return folder / "codec.safetensors"


CASES = {
    "embedded": (_embedded, 32, 8),
    "kl": (tiny_models.kl, 6, 4),
    "tiny": (tiny_models.tiny, 5, 4),
    "cosmos": (tiny_models.cosmos, 4, 8),
}


@pytest.fixture(scope="module", params=CASES)
def case(request, tmp_path_factory):
    """Return a codec, its channels and its factor."""
    if request.param != "embedded":
        pytest.importorskip("diffusers")
    save, *sizes = CASES[request.param]
    path = save(tmp_path_factory.mktemp(request.param))
    return open_codec(request.param, str(path)), *sizes


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(0)


class TestContract:
    def test_channels_and_factor_are_those_of_the_weights(self, case):
        codec, channels, factor = case
        assert (codec.channels, codec.factor) == (channels, factor)

    @pytest.mark.parametrize("size", [(32, 48), (33, 47), (16, 17), (5, 40)])
    @torch.no_grad()
    def test_any_size_comes_back(self, case, rng, size):
        codec, channels, factor = case
        pictures = torch.rand(2, 3, *size, generator=rng)
        latents = codec.encode(pictures)
        grid = tuple(-(-side // factor) for side in size)
        assert latents.shape == (2, channels, *grid)
        made = codec.decode(latents, size)
        assert made.shape == pictures.shape
        assert made.min() >= 0
        assert made.max() <= 1
        whole = codec.decode(latents)
        assert whole.shape[-2:] == tuple(factor * side for side in grid)
        assert torch.equal(whole[..., : size[0], : size[1]], made)

    @torch.no_grad()
    def test_pictures_of_a_batch_do_not_see_each_other(self, case, rng):
        codec, *_ = case
        pictures = torch.rand(2, 3, 32, 32, generator=rng)
        latents = codec.encode(pictures)
        torch.testing.assert_close(latents[:1], codec.encode(pictures[:1]), atol=1e-4, rtol=1e-4)
        made = codec.decode(latents)
        torch.testing.assert_close(made[1:], codec.decode(latents[1:]), atol=1e-4, rtol=1e-4)

    def test_gradients_reach_latents_and_no_weight(self, case, rng):
        codec, channels, _ = case
        latents = (0.1 * torch.randn(1, channels, 4, 4, generator=rng)).requires_grad_()
        codec.decode(latents).square().sum().backward()
        assert latents.grad.abs().max() > 0
        assert not list(codec.parameters())
        assert not codec.state_dict()
        assert all(p.grad is None for p in codec.held.model.parameters())

    @torch.no_grad()
    def test_it_follows_to_another_type(self, case):
        codec, *_ = case
        codec.to(torch.float64)
        assert codec.encode(torch.rand(1, 3, 16, 16).double()).dtype == torch.float64
        codec.to(torch.float32)

    @torch.no_grad()
    def test_latents_are_normalised_as_the_weights_state(self, case, rng):
        """Decoding undoes it: what comes back is what the autoencoder itself makes."""
        codec, *_ = case
        model = codec.held.model
        pictures = torch.rand(1, 3, 32, 32, generator=rng)
        if isinstance(codec, EmbeddedCodec):
            own = model.encoder(pictures)
            expected = (own - model.mean[:, None, None]) / model.deviation[:, None, None]
            made = model.decoder(own)
        else:
            framed = (2 * pictures - 1)[:, :, None] if codec._of_videos else 2 * pictures - 1
            coded = model.encode(framed)
            own = coded.latents if hasattr(coded, "latents") else coded.latent_dist.mode()
            made = model.decode(own).sample / 2 + 0.5
            config = model.config
            if codec._of_videos:
                made, own = made[:, :, 0], own[:, :, 0]
                mean = torch.tensor([0.5, -0.5, 0.25, 0.0])[:, None, None]
                expected = (own - mean) / torch.tensor([0.5, 1.0, 2.0, 1.0])[:, None, None]
            else:
                expected = (own - (config.shift_factor or 0)) * config.scaling_factor
        latents = codec.encode(pictures)
        torch.testing.assert_close(latents, expected, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(codec.decode(latents), made.clamp(0, 1), atol=1e-4, rtol=1e-4)


def test_an_unknown_codec_is_named_with_the_known():
    with pytest.raises(UsageError, match=r"'vae': unknown; known: embedded, kl, tiny, cosmos"):
        open_codec("vae")


def test_absent_and_torn_files_are_named(tmp_path):
    with pytest.raises(WeightsError, match=r"nowhere.*fusion train --model mmaif-codec"):
        EmbeddedCodec(str(tmp_path / "nowhere")).encode(torch.zeros(1, 3, 8, 8))
    with pytest.raises(WeightsError, match=r"taef2_encoder.*a folder of TAEF2 holds"):
        load_codec(str(tmp_path))
    path = _embedded(tmp_path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(WeightsError, match="torn"):
        load_codec(str(path))


def test_a_file_of_another_network_does_not_fit(tmp_path):
    network = TinyAutoencoder()
    network.decoder = network.decoder[:-1]
    save_codec(network, tmp_path / "codec.safetensors", {})
    with pytest.raises(WeightsError, match="does not fit"):
        load_codec(str(tmp_path / "codec.safetensors"))


def _scene(rng):
    """Return a picture of soft patches and hard edges, 96x96."""
    soft = F.interpolate(torch.rand(1, 3, 6, 6, generator=rng), (96, 96), mode="bicubic")
    soft[..., 30:70, 20:40] *= 0.4
    return soft.clamp(0, 1)


class TestShipped:
    @torch.no_grad()
    def test_it_fits_its_limits_and_shows_what_it_was_given(self, rng):
        codec = EmbeddedCodec()
        assert sum(p.numel() for p in codec.held.model.parameters()) <= 3_000_000
        assert SHIPPED.stat().st_size <= 6_000_000
        pictures = torch.cat([_scene(rng), _scene(rng).mean(1, keepdim=True).expand(-1, 3, -1, -1)])
        latents = codec.encode(pictures)
        errors = (codec.decode(latents) - pictures).square().mean((1, 2, 3))
        assert (-10 * errors.log10() > 33).all()
        assert latents.mean().abs() < 0.3
        assert 0.5 < latents.std() < 1.5

    @pytest.mark.data
    def test_its_encoder_is_that_of_taef2(self, recordings):
        shipped = load_codec(str(SHIPPED)).state_dict()
        given = load_codec(str(recordings / "weights")).state_dict()
        for name in (name for name in given if not name.startswith("decoder.")):
            torch.testing.assert_close(shipped[name], given[name], atol=5e-4, rtol=1e-3)
        for name in (name for name in given if name.startswith("encoder.")):
            assert torch.equal(shipped[name], given[name])


@pytest.mark.data
@torch.no_grad()
def test_taef2_from_a_folder_gives_what_its_authors_report(recordings):
    """More than 36 dB on a thermal picture: every layer is where its weights belong."""
    from fusion_lab.data import read_image

    assert all((recordings / "weights" / name).is_file() for name in TAEF2_FILES.values())
    codec = EmbeddedCodec(str(recordings / "weights"))
    picture = read_image(min((recordings / "msrs" / "ir").glob("*.png")))[100:260, 200:400]
    given = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255
    made = codec.decode(codec.encode(given), given.shape[-2:])
    assert -10 * (made - given).square().mean().log10() > 36
