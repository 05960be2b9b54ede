import cv2
import numpy as np
import pytest
import torch

from fusion_core.errors import SourceError
from fusion_lab.data import Needs, read_examples, split_by_scene
from fusion_lab.training.augment import Augmentation, augment_pair
from fusion_lab.training.batches import make_pair_batch, pair_planes, whole_pair_batch
from fusion_lab.training.losses import saliency


def load_pairs(folders):
    return read_examples(folders, needs=Needs(luma=True))


def load_planes(folder):
    return [pair_planes(example) for example in load_pairs([folder])]


PLAIN = Augmentation(scale=(1, 1), flip=0, dark=0, veil=0, tone=0, thermal_tone=0)
WILD = Augmentation(scale=(0.5, 1), flip=1, dark=0.5, veil=0.5, tone=1, thermal_tone=1)


def test_pairs_and_clips_are_found(pair_folder, clip_folder):
    pairs = load_pairs([pair_folder, clip_folder])
    assert len(pairs) == 5 + 6
    assert len({pair.scene for pair in pairs}) == 5 + 3
    assert [pair.name for pair in pairs[:2]] == ["road_0", "road_1"]


def test_convention_planes_are_thermal_luma_saliency(pair_folder):
    planes = load_planes(pair_folder)[0]
    batch = whole_pair_batch(planes)
    thermal = cv2.imread(str(pair_folder / "ir" / "road_0.png"), cv2.IMREAD_GRAYSCALE)
    blue, green, red = cv2.split(cv2.imread(str(pair_folder / "vi" / "road_0.png")).astype(float))
    np.testing.assert_array_equal(planes[..., 0], thermal)
    # BT.601; OpenCV's PNG reader truncates fixed-point weights, hence a level of slack.
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    np.testing.assert_allclose(planes[..., 1], luma, atol=1.01)
    torch.testing.assert_close(
        batch.salient, saliency(batch.thermal), atol=0.5 / 255 + 1e-6, rtol=0
    )
    assert batch.thermal.shape == (1, 1, 72, 96)
    assert batch.thermal.max() <= 1


def test_lonely_image_is_named(pair_folder):
    (pair_folder / "ir" / "road_3.png").unlink()
    with pytest.raises(SourceError, match="road_3"):
        load_pairs([pair_folder])


def test_folder_without_pairs_is_named(tmp_path):
    with pytest.raises(SourceError, match=str(tmp_path)):
        load_pairs([tmp_path])


def test_undecodable_image_is_named(pair_folder):
    (pair_folder / "vi" / "road_2.png").write_bytes(b"not a picture")
    with pytest.raises(SourceError, match=r"road_2\.png"):
        load_pairs([pair_folder])


def test_sizes_must_agree(pair_folder):
    cv2.imwrite(str(pair_folder / "ir" / "road_1.png"), np.zeros((10, 10), np.uint8))
    with pytest.raises(SourceError, match=r"road_1\.png: 10x10, but .*96x72"):
        load_pairs([pair_folder])


@pytest.mark.parametrize("seed", range(5))
def test_split_keeps_scenes_whole(pair_folder, clip_folder, seed):
    pairs = load_pairs([pair_folder, clip_folder])
    kept, held = split_by_scene(pairs, 0.3, seed)
    assert {pair.scene for pair in kept}.isdisjoint(pair.scene for pair in held)
    assert len(kept) + len(held) == len(pairs)
    assert 0.3 * len(pairs) <= len(held) < len(pairs)
    assert split_by_scene(pairs, 0.3, seed)[1] == held


def test_split_leaves_a_scene_to_train_on(clip_folder):
    pairs = load_pairs([clip_folder / "clip0"])[:1]
    assert split_by_scene(pairs, 0.9, 0) == (pairs, [])


def test_any_step_can_be_recomputed(pair_folder):
    pairs = load_planes(pair_folder)
    arguments = {"size": 3, "crop": 32, "seed": 7}
    first = [make_pair_batch(pairs, WILD, step=step, **arguments) for step in (4, 5)]
    again = make_pair_batch(pairs, WILD, step=4, **arguments)
    for plane, same in zip(first[0], again, strict=True):
        assert torch.equal(plane, same)
    assert not torch.equal(first[0].visible, first[1].visible)


def test_plain_crops_are_cut_from_the_pictures(pair_folder):
    planes = load_planes(pair_folder)[0]
    batch = make_pair_batch([planes], PLAIN, size=1, crop=64, seed=0, step=0)
    whole = whole_pair_batch(planes)
    places = [
        (y, x)
        for y in range(72 - 64 + 1)
        for x in range(96 - 64 + 1)
        if torch.equal(whole.visible[..., y : y + 64, x : x + 64], batch.visible)
    ]
    assert len(places) == 1
    y, x = places[0]
    assert torch.equal(whole.thermal[..., y : y + 64, x : x + 64], batch.thermal)
    assert torch.equal(whole.salient[..., y : y + 64, x : x + 64], batch.salient)


def test_flip_turns_all_planes(pair_folder):
    planes = load_planes(pair_folder)[0]
    only_flip = Augmentation(scale=(1, 1), flip=1, dark=0, veil=0, tone=0, thermal_tone=0)
    plain = augment_pair(planes, PLAIN, np.random.default_rng(0))
    flipped = augment_pair(planes, only_flip, np.random.default_rng(0))
    np.testing.assert_array_equal(flipped, plain[:, :, ::-1])


@pytest.mark.parametrize("seed", range(20))
def test_augmented_values_stay_in_range(pair_folder, seed):
    planes = load_planes(pair_folder)[0]
    result = augment_pair(planes, WILD, np.random.default_rng(seed))
    assert result.dtype == np.float32
    assert result.min() >= 0
    assert result.max() <= 1


@pytest.mark.parametrize("seed", range(5))
def test_veil_hides_the_visible_picture_and_lifts_saliency(pair_folder, seed):
    planes = load_planes(pair_folder)[0]
    veil = Augmentation(scale=(1, 1), flip=0, dark=0, veil=1, tone=0, thermal_tone=0)
    plain = augment_pair(planes, PLAIN, np.random.default_rng(seed))
    veiled = augment_pair(planes, veil, np.random.default_rng(seed))
    assert veiled[1].std() < plain[1].std()
    assert (veiled[2] - plain[2]).min() >= 0
    np.testing.assert_array_equal(veiled[0], plain[0])


@pytest.mark.parametrize("seed", range(5))
def test_night_darkens_and_leaves_thermal_alone(pair_folder, seed):
    planes = load_planes(pair_folder)[0]
    night = Augmentation(scale=(1, 1), flip=0, dark=1, veil=0, tone=0, thermal_tone=0)
    plain = augment_pair(planes, PLAIN, np.random.default_rng(seed))
    dark = augment_pair(planes, night, np.random.default_rng(seed))
    assert dark[1].mean() < 0.65 * plain[1].mean()
    np.testing.assert_array_equal(dark[0], plain[0])
