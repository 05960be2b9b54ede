"""Whole recordings through the whole pipeline."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from fusion_core.config import Config
from fusion_core.pipeline import Pipeline
from fusion_core.sink.bag import BagRecorder
from fusion_core.source import open_source

CONFIG = Config.from_dict({"device": "cpu"})


@pytest.fixture
def smoke(recordings):
    """Two registered videos of people who walk behind smoke (M3SVD)."""
    folder = recordings / "video" / "0117_1620"
    return {"visible": str(folder / "vi.mp4"), "thermal": str(folder / "ir.mp4")}


def digests(source, count=None):
    """Return the digest of every fused image, and the status at the end."""
    found = []
    with Pipeline(CONFIG) as pipeline:
        for fused in pipeline.stream(source):
            found.append(hashlib.sha256(fused.image.tobytes()).hexdigest())
            if len(found) == count:
                break
        return found, pipeline.status()


def record(source, path, count):
    """Write the first ``count`` frames of each stream into a bag."""
    with BagRecorder(path) as bag:
        for frame in source.frames():
            if frame.sequence < count:
                bag.write_frame(frame)
            elif frame.sequence > count:
                break


def test_a_scene_through_a_bag_gives_the_same_pixels(tmp_path):
    url = "synthetic://smoke?seed=3&seconds=1&registered=1"
    with open_source(url) as source:
        record(source, tmp_path / "bag", 30)
    with open_source(url) as scene, open_source(str(tmp_path / "bag")) as bag:
        direct, direct_status = digests(scene)
        replayed, replayed_status = digests(bag)
    assert len(direct) == 30
    assert replayed == direct
    assert replayed_status.read == direct_status.read
    assert replayed_status.drops == direct_status.drops


def test_the_shipped_rig_is_that_of_the_synthetic_scenes():
    from fusion_core.registration import Rig
    from fusion_lab.synthetic import SyntheticScene

    shipped = Rig.load(Path(__file__).parents[2] / "calibration" / "synthetic.yaml")
    scene = Rig.from_mapping(SyntheticScene.from_url("synthetic://street").rig())
    assert shipped.to_mapping() == scene.to_mapping()


@pytest.mark.data
def test_videos_through_a_bag_give_the_same_pixels(smoke, tmp_path):
    with open_source(**smoke) as source:
        record(source, tmp_path / "bag", 40)
    with open_source(**smoke) as source, open_source(str(tmp_path / "bag")) as bag:
        assert digests(source, 40)[0] == digests(bag)[0]


@pytest.mark.data
def test_every_frame_of_the_smoke_recording_is_paired(smoke):
    """590 frames, as counted by ffprobe -count_frames in either stream."""
    from fusion_core.sync import SyncConfig, Synchronizer

    sync = Synchronizer(SyncConfig())
    with open_source(**smoke) as source:
        pairs = [pair for frame in source.frames() for pair in sync.push(frame)]
    pairs += sync.flush()
    assert len(pairs) == 590
    assert sync.drop_log.by_cause() == {}
    assert not any(pair.reused or pair.health for pair in pairs)


@pytest.mark.data
def test_people_behind_smoke_stand_out_as_in_the_thermal_image(smoke):
    """Frame 90 shows a person who cannot be seen in the visible image (box by eye)."""
    with (
        open_source(**smoke) as source,
        Pipeline(CONFIG) as pipeline,
    ):
        fused = next(fused for fused in pipeline.stream(source) if fused.frame == 90)
    legs = np.s_[275:385, 545:585]
    around = np.s_[275:385, 480:530]

    def contrast(image):
        luma = image.astype(float).mean(axis=2) if image.ndim == 3 else image
        return abs(luma[legs].mean() - luma[around].mean())

    visible = fused.pair.visible.image
    assert contrast(visible) < 10
    assert contrast(fused.image) > 2 * contrast(visible) + 10
