"""What scores fused crops for the memory."""

import pytest
import tiny_models
import torch

from fusion_core.errors import WeightsError
from fusion_core.memory import quality_score
from fusion_core.priors import Assessment, PriorsConfig, open_provider
from fusion_core.priors.clip import ClipProvider
from fusion_lab.training.fusion.judges import open_judge

CPU = torch.device("cpu")
FUSED = torch.rand(3, 1, 32, 48, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return str(tiny_models.clip(tmp_path_factory.mktemp("clip")))


def test_clip_compares_with_sentences_for_and_against_quality(clip):
    """The same as the scene prior's quality, which has a test by hand."""
    provider = open_provider("clip", PriorsConfig(weights=clip), "cpu")
    scores = open_judge("clip", clip, CPU, 0).score(FUSED, FUSED, FUSED)
    for picture, score in zip(FUSED, scores, strict=True):
        pixels = (picture * 255).round().byte().expand(3, -1, -1).permute(1, 2, 0).numpy()
        assert score.item() == pytest.approx(provider.assess(pixels, None).quality, abs=1e-6)


def test_clip_sees_each_fused_picture_as_a_grey_one(clip, monkeypatch):
    judge = open_judge("clip", clip, CPU, 0)

    def mean_of(_provider, visible, thermal):
        assert thermal is None
        assert (visible == visible[..., :1]).all()
        return Assessment({}, {}, visible[:0], visible.mean() / 255)

    monkeypatch.setattr(ClipProvider, "assess", mean_of)
    scores = judge.score(FUSED, FUSED, FUSED)
    torch.testing.assert_close(scores, FUSED.mean((1, 2, 3)), atol=1e-3, rtol=0)


def test_missing_weights_are_named():
    with pytest.raises(WeightsError, match="nowhere"):
        open_judge("clip", "nowhere/at-all", CPU, 0)


def test_the_handcrafted_score_is_that_of_a_running_robot():
    scores = open_judge("handcrafted", "", CPU, 0).score(FUSED, FUSED, FUSED)
    assert scores.tolist() == pytest.approx([quality_score(luma) for luma in FUSED[:, 0].numpy()])


def test_the_discriminator_learns_to_tell_sources_from_fused_pictures():
    judge = open_judge("discriminator", "", CPU, 0)
    smooth = torch.full_like(FUSED, 0.5)
    before = judge(FUSED).mean() - judge(smooth).mean()
    for _ in range(20):
        judge.score(smooth, FUSED, FUSED)
    assert judge(FUSED).mean() - judge(smooth).mean() > before + 0.1
