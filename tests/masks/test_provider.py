"""Which mask is in force."""

import time

import cv2
import numpy as np
import pytest

from fusion_core.config import Config
from fusion_core.errors import ConfigError, MaskError
from fusion_core.masks import MaskConfig, MaskProvider
from fusion_core.types import AlignedPair, Detection, Frame

SHAPE = (48, 64)
MS = 1_000_000


def pair(stamp_ns=0):
    thermal = np.full(SHAPE, 0.3, np.float32)
    thermal[20:30, 30:36] = 0.9
    visible = np.zeros((*SHAPE, 3), np.uint8)
    return AlignedPair(stamp_ns, visible, thermal, np.ones(SHAPE, bool))


def frame(sequence=0):
    return Frame(0, "visible", np.zeros((*SHAPE, 3), np.uint8), "rgb8", sequence=sequence)


def ask(provider, stamp_ns=0, *, live=True):
    return provider.mask_for(pair(stamp_ns), frame(), live=live)


def given(value=255, shape=SHAPE):
    mask = np.zeros(shape, np.uint8)
    mask[5:9, 5:9] = value
    return mask


def test_hot_regions_by_default_and_nothing_on_request():
    mask, health = ask(MaskProvider(MaskConfig()))
    assert mask[22:28, 31:35].min() == 1
    assert health == ()
    assert ask(MaskProvider(MaskConfig(source="none"))) == (None, ())


def test_a_given_mask_wins_until_it_is_too_old():
    provider = MaskProvider(MaskConfig(hold_s=0.2))
    provider.set_mask(given(value=1))
    mask, _ = ask(provider)
    assert np.array_equal(mask, given() > 0)
    time.sleep(0.25)
    later, _ = ask(provider)
    assert later[5:9, 5:9].max() == 0
    assert later.max() == 1
    provider.set_mask(np.zeros(SHAPE, np.uint8))
    assert ask(provider)[0].max() == 0


def test_a_given_mask_may_count_for_ever():
    provider = MaskProvider(MaskConfig(hold_s=0))
    provider.set_mask(given())
    time.sleep(0.05)
    assert ask(provider)[0][6, 6] == 1


def test_a_mask_of_another_size_is_reported_live_and_raised_offline(tmp_path):
    provider = MaskProvider(MaskConfig())
    provider.set_mask(given(shape=(24, 32)))
    assert ask(provider) == (None, ("mask_rejected",))
    status = provider.status()
    assert status["rejected"] == 1
    assert "mask of 32x24 for a visible image of 64x48" in status["problem"]
    cv2.imwrite(str(tmp_path / "mask.png"), given(shape=(24, 32)))
    with pytest.raises(MaskError, match="mask of 32x24 for a visible image of 64x48"):
        ask(MaskProvider(MaskConfig(file=str(tmp_path / "mask.png"))), live=False)


def test_a_live_mask_that_does_not_fit_ends_no_recorded_run():
    provider = MaskProvider(MaskConfig())
    provider.set_mask(given(shape=(24, 32)))
    assert ask(provider, live=False) == (None, ("mask_rejected",))


def test_a_live_mask_is_withdrawn():
    provider = MaskProvider(MaskConfig(hold_s=0, source="none"))
    provider.set_mask(given())
    assert ask(provider)[0] is not None
    provider.set_mask(None)
    assert ask(provider) == (None, ())


def test_detections_mark_the_next_frame_for_half_a_second():
    provider = MaskProvider(MaskConfig(source="detector", labels="person, dog"))
    assert provider.uses_detections
    found = (
        Detection("person", 0.9, (4.0, 6.0, 10.0, 20.0)),
        Detection("car", 0.9, (40.0, 6.0, 10.0, 20.0)),
    )
    provider.set_detections(found, 100 * MS)
    mask, _ = ask(provider, 133 * MS)
    wanted = np.zeros(SHAPE)
    wanted[6:26, 4:14] = 1
    assert np.array_equal(mask, wanted)
    assert ask(provider, 700 * MS)[0] is None


def test_a_frame_without_a_visible_image_has_nothing_marked():
    alone = AlignedPair(0, None, np.zeros(SHAPE, np.float32), np.ones(SHAPE, bool))
    assert MaskProvider(MaskConfig()).mask_for(alone, None, live=True) == (None, ())


def test_status_counts_frames_with_something_marked():
    provider = MaskProvider(MaskConfig())
    ask(provider)
    provider.set_mask(np.zeros(SHAPE, np.uint8))
    ask(provider)
    provider.count_invalid_mask("mask of encoding 'rgb8'")
    assert provider.status() == {
        "source": "saliency",
        "boxes": False,
        "frames": 1,
        "given": 1,
        "rejected": 1,
        "problem": "mask of encoding 'rgb8'",
    }


def test_what_is_pointed_at_is_marked_until_it_is_taken_back():
    provider = MaskProvider(MaskConfig(source="none"))
    assert not provider.uses_detections
    provider.point_at((32, 25))
    assert provider.uses_detections
    for _ in range(2):
        mask, health = ask(provider)
        assert (mask[22:28, 31:35].min(), mask[:15].max(), health) == (1, 0, ())
    provider.point_at(None)
    assert ask(provider) == (None, ())


def test_a_point_on_an_object_follows_it():
    provider = MaskProvider(MaskConfig(source="none"))
    at = {"label": "person", "score": 0.9, "track_id": 3}
    provider.set_detections([Detection(box=(28, 18, 10, 14), **at)], stamp_ns=0)
    provider.point_at((32, 25))
    assert ask(provider)[0][25, 32] == 1
    provider.set_detections([Detection(box=(4, 18, 10, 14), **at)], stamp_ns=40 * MS)
    moved = ask(provider, 50 * MS)[0]
    assert (moved[25, 8], moved[25, 32]) == (1, 0)


def test_boxes_of_the_settings_mark_their_objects():
    provider = MaskProvider(MaskConfig(source="none", box="27,17,12,16; 2, 2, 8, 6"))
    mask, _ = ask(provider, live=False)
    np.testing.assert_array_equal(mask[17:33, 27:39] > 0, pair().thermal[17:33, 27:39] > 0.5)
    assert mask[3:7, 3:9].all()  # nothing stands out there
    assert mask[40:].max() == 0


def test_a_network_that_segments_gets_the_boxes_themselves():
    provider = MaskProvider(MaskConfig(source="none", box="27,17,12,16"))
    mask, _ = provider.mask_for(pair(), frame(), live=False, boxes=True)
    assert mask.sum() == mask[17:33, 27:39].sum() == 12 * 16
    assert provider.status()["boxes"]


@pytest.mark.parametrize("place", [(64, 3), (-1, 3), (float("nan"), 3), (70, 3, 5, 5)])
def test_a_prompt_outside_of_the_picture_is_named(place):
    provider = MaskProvider(MaskConfig(source="none"))
    provider.point_at(place)
    assert ask(provider) == (None, ("mask_rejected",))
    assert f"prompt {place[0]:g},3" in provider.status()["problem"]
    assert ask(provider) == (None, ())
    provider.point_at(place)
    with pytest.raises(MaskError, match="prompt"):
        ask(provider, live=False)


@pytest.mark.parametrize("text", ["1,2,3", "1,2,0,4", "a,b,c,d", "1,2,3,inf"])
def test_a_box_that_is_none_is_refused_by_the_settings(text):
    with pytest.raises(ConfigError, match="box"):
        Config.from_dict({"mask": {"box": text}})
