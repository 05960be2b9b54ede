"""The bench of codecs."""

import cv2
import numpy as np
import pytest
import tiny_models
import torch

from fusion_core.errors import UsageError
from fusion_core.models.mmaif.codec.network import TinyAutoencoder
from fusion_core.models.mmaif.codec.weights import save_codec
from fusion_lab.benches.codecs import CodecsBench
from fusion_lab.benches.registry import load_bench


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "pictures").mkdir()
    for index in range(4):
        picture = cv2.resize(rng.integers(0, 255, (6, 8, 3), np.uint8), (90, 70))
        cv2.imwrite(str(tmp_path / "pictures" / f"{index}.png"), picture)
    return tmp_path


def test_rows_per_folder_and_codec(folder):
    pytest.importorskip("diffusers")
    torch.manual_seed(0)
    save_codec(TinyAutoencoder(), folder / "codec.safetensors", {})
    codecs = (f"embedded={folder / 'codec.safetensors'}", f"tiny={tiny_models.tiny(folder / 'v')}")
    assert load_bench("codecs") is CodecsBench
    bench = CodecsBench(data=(folder / "pictures",), codec=codecs, every=2, rounds=0)
    result = bench.measure()
    assert [(row.codec, row.count) for row in result.kept] == [(name, 2) for name in codecs]
    for row in result.kept:
        assert 0 < row.least <= row.psnr < 30
        assert -1 < row.ssim < 1
    assert not result.cost
    assert "PSNR in dB" in result.tables()[0].markdown()


def test_the_psnr_is_that_of_the_pixels(folder, monkeypatch):
    """A codec that only rounds down to sixteen levels, against the same by hand."""
    from fusion_lab.benches import codecs

    class Rounding:
        def encode(self, pictures):
            return (pictures * 15).floor() / 15

        def decode(self, latents, size):
            return latents[..., : size[0], : size[1]]

    monkeypatch.setattr(codecs, "open_codec", lambda name, weights: Rounding())
    row = CodecsBench(data=(folder / "pictures",), rounds=0).measure().kept[0]
    errors = []
    for path in sorted((folder / "pictures").glob("*.png")):
        given = cv2.imread(str(path)).astype(np.float64)
        errors.append(np.mean((np.floor(given / 255 * 15 + 1e-6) * 17 - given) ** 2))
    assert row.psnr == pytest.approx(np.mean(10 * np.log10(255**2 / np.array(errors))), abs=0.1)


def test_times_of_a_codec(tmp_path, folder):
    torch.manual_seed(0)
    save_codec(TinyAutoencoder(), folder / "codec.safetensors", {})
    from fusion_lab.benches.codecs import _costs, _open

    row = _costs({"own": _open(f"embedded={folder / 'codec.safetensors'}")}, 1, (48, 64))[0]
    assert (row.channels, row.factor) == (32, 8)
    assert row.parameters == pytest.approx(2.677, abs=0.01)
    assert row.encode.median > 0


def test_wrong_options_are_refused():
    with pytest.raises(UsageError, match="--data"):
        CodecsBench().measure()
