"""The shipped provider on recordings as they are."""

import itertools

import numpy as np
import pytest

from fusion_core.priors.embedded import EmbeddedProvider
from fusion_core.priors.kinds import veil_probability
from fusion_core.source import open_source
from fusion_lab.training.priors.bases import clipped_share, load_bases

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def provider():
    return EmbeddedProvider()


def answers(provider, video, every):
    with open_source(visible=video / "vi.mp4") as source:
        frames = itertools.islice(source.frames(), 0, None, every)
        return [provider.assess(frame.image, None).visible for frame in frames]


def test_smoke_is_told_from_a_clear_courtyard(provider, recordings):
    smoke = [veil_probability(a) for a in answers(provider, recordings / "video/0117_1620", 50)]
    clear = [veil_probability(a) for a in answers(provider, recordings / "video/1230_1202", 40)]
    assert np.mean(smoke) >= 0.85
    assert max(clear) <= 0.2
    assert min(smoke) > 0.5


def test_pictures_that_hold_nothing_white_are_not_over_exposed(provider, recordings):
    """None of these was trained on; those with white parts may be."""
    bases = load_bases([recordings / "roadscene/val", recordings / "msrs"])
    found = [
        provider.assess(base.visible, None).visible["over_exposure"]
        for base in bases
        if clipped_share(base.visible) < 0.03
    ]
    assert len(found) >= 40
    assert np.mean(found) <= 0.1
    assert max(found) < 0.6
