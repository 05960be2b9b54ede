"""The embedded provider: its inputs, its assessments, and its weights on disk."""

import numpy as np
import pytest
import torch

from fusion_core.errors import WeightsError
from fusion_core.priors.checkpoint import SHIPPED, load_prior, save_prior
from fusion_core.priors.embedded import EmbeddedProvider
from fusion_core.priors.inputs import CROP, CROPS, STATISTICS, make_inputs
from fusion_core.priors.network import PriorNet
from fusion_lab.training.degradations import Degrader


def noise(seed, *shape):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


class TestInputs:
    @pytest.mark.parametrize(
        "shape", [(480, 640, 3), (512, 640), (30, 40, 3), (1024, 1280), (9, 7)]
    )
    def test_any_size_gives_the_same_shapes_and_finite_numbers(self, shape):
        inputs = make_inputs(noise(1, *shape))
        channels = shape[2] if len(shape) == 3 else 1
        assert inputs.thumb.shape == (96, 128, channels)
        assert inputs.crops.shape == (CROPS, CROP, CROP)
        assert inputs.statistics.shape == (STATISTICS,)
        assert np.isfinite(inputs.statistics).all()

    @pytest.mark.parametrize("level", [0, 128, 255])
    def test_an_empty_picture_is_no_problem(self, level):
        assert np.isfinite(make_inputs(np.full((480, 640, 3), level, np.uint8)).statistics).all()

    def test_crops_are_full_resolution_on_the_grid_of_jpeg_blocks(self):
        y, x = np.mgrid[0:480, 0:640]
        # Each pixel says where it is within its block.
        inputs = make_inputs(((y % 8) * 8 + x % 8).astype(np.uint8))
        assert (inputs.crops[:, ::8, ::8] == 0).all()
        assert (inputs.crops[:, 7::8, 7::8] == 63).all()

    def test_blocking_is_seen_in_compressed_pictures(self):
        """A ratio above 1 (log above 0) of steps at block borders, by hand on a block pattern."""
        blocks = np.kron(noise(3, 60, 80), np.ones((8, 8), np.uint8)).astype(np.uint8)
        ratios = make_inputs(blocks).statistics[35:37]
        assert (ratios > 1).all()
        smooth = make_inputs(noise(3, 480, 640)).statistics[35:37]
        assert np.abs(smooth).max() < 0.05


class TestWeights:
    @pytest.fixture
    def saved(self, tmp_path):
        torch.manual_seed(0)
        path = tmp_path / "prior.safetensors"
        save_prior(PriorNet("visible"), PriorNet("thermal"), path, {"seed": 0})
        return path

    def test_round_trip(self, saved):
        provider = EmbeddedProvider(saved)
        first = provider.assess(noise(1, 96, 128, 3), None)
        again = EmbeddedProvider(saved).assess(noise(1, 96, 128, 3), None)
        assert first.visible == again.visible
        assert np.array_equal(first.tokens, again.tokens)

    def test_torn_foreign_and_missing_are_told_apart(self, saved, tmp_path):
        from safetensors.torch import save_file

        torn = tmp_path / "torn.safetensors"
        torn.write_bytes(saved.read_bytes()[:5000])
        foreign = tmp_path / "foreign.safetensors"
        save_file({"x": torch.zeros(1)}, foreign)
        for path, words in (
            (torn, "torn"),
            (foreign, "format None, expected 'fusion-prior'"),
            (tmp_path / "none.safetensors", "fusion train --model prior"),
        ):
            with pytest.raises(WeightsError, match=words):
                load_prior(path)

    def test_weights_of_another_shape_are_refused(self, tmp_path):
        swapped = tmp_path / "swapped.safetensors"
        save_prior(PriorNet("thermal"), PriorNet("visible"), swapped, {})
        with pytest.raises(WeightsError, match="does not fit"):
            load_prior(swapped)

    def test_a_calibration_of_one_and_zero_changes_nothing(self):
        net = PriorNet("visible")
        logits = torch.linspace(-3, 3, len(net.kinds))
        assert torch.allclose(net.probabilities(logits), torch.sigmoid(logits))


@pytest.fixture(scope="module")
def provider():
    """The shipped weights."""
    return EmbeddedProvider()


@pytest.fixture(scope="module")
def day():
    """A clear day of a synthetic world that was not trained on."""
    from fusion_lab.synthetic import SyntheticScene

    url = "synthetic://day?seed=77&seconds=0.1&registered=1"
    frames = {frame.modality: frame for frame in SyntheticScene.from_url(url).frames()}
    return frames["visible"].image.astype(np.float32) / 255


@pytest.mark.skipif(not SHIPPED.is_file(), reason="no weights ship")
class TestShipped:
    def probabilities(self, provider, picture):
        return provider.assess(np.rint(picture * 255).astype(np.uint8), None).visible

    def test_a_clear_day_is_clean(self, provider, day):
        found = self.probabilities(provider, day)
        assert max(found, key=found.get) == "clean"

    @pytest.mark.parametrize(
        "kind", ["haze", "smoke", "rain", "snow", "low_light", "over_exposure", "noise"]
    )
    def test_a_strong_degradation_is_told_from_none(self, provider, day, kind):
        before = self.probabilities(provider, day)
        after = self.probabilities(provider, Degrader({kind: 0.9}, 4).apply(day).image)
        assert after[kind] > 0.5 > before[kind]
        assert after["clean"] < before["clean"]

    def test_quality_falls_with_degradation(self, provider, day):
        clean = provider.assess(np.rint(day * 255).astype(np.uint8), None).quality
        bad = Degrader({"defocus": 0.8, "noise": 0.8}, 4).apply(day).image
        assert provider.assess(np.rint(bad * 255).astype(np.uint8), None).quality < clean - 0.2
