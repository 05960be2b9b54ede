"""Masks on their way through the pipeline."""

import cv2
import numpy as np
import onnx_networks as networks
import pytest
from streams import SECOND, H, ListSource, W, stream, thermal, visible

from fusion_core.config import Config
from fusion_core.errors import MaskError, UsageError
from fusion_core.pipeline import Pipeline


def make(**config):
    settings = {"device": "cpu", "threads": 1, "prior": "none", "model": "ctrlfuse"}
    return Pipeline(Config.from_dict(settings | {"temporal_smoothing": 0.0} | config))


def source(count=3):
    return ListSource(stream(visible, 10, count / 10), stream(thermal, 10, count / 10))


def run(count=3, **config):
    with make(**config) as pipeline:
        return [fused.image for fused in pipeline.stream(source(count))], pipeline.status()


def square(top=40, left=60, edge=24, shape=(H, W)):
    mask = np.zeros(shape, np.uint8)
    mask[top : top + edge, left : left + edge] = 255
    return mask


@pytest.fixture
def mask_file(tmp_path):
    cv2.imwrite(str(tmp_path / "mask.png"), square())
    return tmp_path / "mask.png"


def test_an_empty_mask_gives_the_reference_fusion_and_a_mask_changes_its_inside(
    tmp_path, mask_file
):
    cv2.imwrite(str(tmp_path / "empty.png"), square(edge=0))
    plain, _ = run(mask={"source": "none"})
    empty, _ = run(mask={"file": str(tmp_path / "empty.png")})
    marked, status = run(mask={"file": str(mask_file)})
    far = cv2.dilate(square(), np.ones((33, 33), np.uint8)) == 0
    for index in range(3):
        assert np.array_equal(plain[index], empty[index])
        change = np.abs(plain[index].astype(int) - marked[index]).max(axis=2)
        assert change[square() > 0].mean() > 1
        assert change[far].mean() < 1
    assert (status.mask["frames"], status.mask["rejected"]) == (3, 0)


def test_no_gain_is_no_mask(mask_file):
    plain, _ = run(mask={"source": "none"})
    muted, _ = run(mask={"file": str(mask_file)}, options={"gain": 0.0})
    assert all(np.array_equal(*images) for images in zip(plain, muted, strict=True))


def test_masks_of_a_folder_are_matched_by_frame_number(tmp_path):
    cv2.imwrite(str(tmp_path / "1.png"), square())
    plain, _ = run(mask={"source": "none"})
    marked, status = run(mask={"file": str(tmp_path)})
    same = [np.array_equal(*images) for images in zip(plain, marked, strict=True)]
    assert same == [True, False, True]
    assert status.mask["frames"] == 1


def test_a_recording_stops_at_a_mask_that_does_not_fit(tmp_path):
    cv2.imwrite(str(tmp_path / "mask.png"), square(shape=(50, 60)))
    with pytest.raises(MaskError, match=f"mask of 60x50 for a visible image of {W}x{H}"):
        run(mask={"file": str(tmp_path / "mask.png")})


def test_live_a_mask_that_does_not_fit_costs_only_itself():
    results = []
    with make(mask={"source": "none"}) as pipeline:
        pipeline._step.live = True
        pipeline.submit_mask(square(shape=(50, 60)))
        pipeline.count_invalid_mask("mask of encoding 'rgb8': a mask is mono8")
        results = [pipeline.step(p) for p in pairs(pipeline)]
        status = pipeline.status()
    assert all("mask_rejected" in fused.health for fused in results)
    assert status.mask["rejected"] == 1 + len(results)
    assert "mask of 60x50" in status.mask["problem"]


def pairs(pipeline):
    return [
        pair
        for frame in [visible(SECOND), thermal(SECOND)]
        for pair in pipeline._intake.pair_frame(frame)
    ]


def test_the_detector_marks_the_next_frame(tmp_path):
    """A person at (16, 16, 32, 48) in every 128 x 96 picture, as in the detector's own tests."""
    rows = np.zeros((1, 6, 16), np.float32)
    rows[0, :, 0] = [16, 28, 16, 24, 0.8, 0.0]
    metadata = {"names": "['person', 'car']"}
    file = networks.constant(tmp_path / "net.onnx", {"output0": rows}, metadata=metadata)
    detector = {"detector": file}
    plain, _ = run(**detector, mask={"source": "none"})
    marked, status = run(**detector, mask={"source": "detector"})
    same = [np.array_equal(*images) for images in zip(plain, marked, strict=True)]
    assert same == [True, False, False]
    _, status = run(**detector, mask={"source": "detector", "labels": "car"})
    assert status.mask["frames"] == 0


def test_what_cannot_work_is_refused_at_the_start(mask_file):
    with pytest.raises(UsageError, match="no detector is chosen"):
        make(mask={"source": "detector"}, detector="none")
    with pytest.raises(
        UsageError, match="model 'm2pn-edge' takes no mask; models that do: ctrlfuse"
    ):
        make(model="m2pn-edge", mask={"file": str(mask_file)})
    with pytest.raises(MaskError, match="no such mask"):
        make(mask={"file": "/nowhere"})
