"""The bench of CtrlFuse on the synthetic street, whose masks are exact."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from street import example, masked_street

from fusion_core.errors import UsageError
from fusion_core.models import load_model
from fusion_lab.benches.ctrlfuse.bench import (
    CtrlFuseBench,
    CtrlFuseResult,
    measure_classes,
    measure_cost,
    measure_prompts,
)
from fusion_lab.benches.ctrlfuse.clicks import measure_clicks
from fusion_lab.benches.ctrlfuse.data import MaskedPair, read_masked, spread_evenly
from fusion_lab.benches.ctrlfuse.detection import elsewhere, found_table, measure_detection
from fusion_lab.benches.ctrlfuse.effects import (
    PROMPTS,
    MaskEffect,
    PromptedFusion,
    effect_on,
    iou,
    mean_effect,
)
from fusion_lab.benches.ctrlfuse.pictures import cropper
from fusion_lab.benches.ctrlfuse.references import measure_references, references_table
from fusion_lab.benches.mechanisms.bench import measure_parts
from fusion_lab.benches.mechanisms.ctrlfuse import SYSTEM, sample_of
from fusion_lab.data.labels import IGNORE, PERSON, BoxLabels


@pytest.fixture(scope="module")
def model():
    return load_model("ctrlfuse")


def test_effects_are_those_computed_by_hand():
    """A square of 8 px, 0.2 above its surround of 0.5; with the mask 0.4 above."""
    target = np.zeros((80, 80), np.uint8)
    target[36:44, 36:44] = 1
    reference = np.full((80, 80), 0.5, np.float32)
    reference[36:44, 36:44] = 0.7
    fused = np.where(target > 0, np.float32(0.9), np.float32(0.5))
    fused[0, :] = 0.6  # 80 of the 80² - 24² pixels beyond 8 px
    fused[48, 36:44] = 0.6  # 8 of the 24² - 8² around
    prompt = np.zeros_like(target)
    prompt[36:44, 36:40] = 1
    effect = effect_on(PromptedFusion(fused, reference, target), target, prompt)
    assert effect.contrast == pytest.approx(2, rel=1e-5)
    assert effect.around == pytest.approx(8 * 0.1 / (24**2 - 8**2) / 0.2, rel=1e-4)
    assert effect.outside == pytest.approx(80 * 0.1 / ((80**2 - 24**2) * 0.5), rel=1e-4)
    assert (effect.prompt_iou, effect.segmented_iou) == (0.5, 1)


def test_overlap_of_empty_masks_is_whole():
    empty = np.zeros((4, 4), np.uint8)
    assert (iou(empty, empty), iou(empty, empty + 1)) == (1, 0)


def test_pictures_without_targets_are_left_out_and_wide_ones_halved():
    pair = masked_street()
    assert spread_evenly([pair], 3, kind=2) == []
    wide = pair.planes.repeat(3, axis=0).repeat(3, axis=1)
    (halved,) = spread_evenly([MaskedPair(pair.example, wide)], 3)
    assert halved.planes.shape == (360, 480, 6)


def test_a_true_mask_raises_contrast_and_leaves_the_rest(model):
    sets = {"street": [masked_street()]}
    rows = {row.prompt: row for row in measure_prompts(model, sets, 1)}
    assert set(rows) == set(PROMPTS)
    assert rows["true"].effect.contrast > 1.02
    assert rows["true"].effect.outside < 0.02
    assert rows["true"].effect.prompt_iou == 1
    assert rows["dilated 8 px"].effect.prompt_iou < rows["dilated 3 px"].effect.prompt_iou < 1
    classes = measure_classes(model, sets, 1)
    assert [row.kind for row in classes] == ["person", "box"]
    assert all(0 < row.from_targets <= 1 for row in classes)
    for table in CtrlFuseResult(tuple(rows.values()), classes).tables():
        table.markdown()


@pytest.mark.data
def test_a_click_on_a_person_marks_the_person_with_a_detector_or_without(model, people):
    """What stands out in checked boxes of msrs is 0.76 of the silhouettes, by rule."""
    (row,) = measure_clicks(model, {"msrs": people}, 4)
    assert row.people > 3
    unknown = [
        MaskedPair(replace(pair.example, labels=pair.example.labels.unknown()), pair.planes)
        for pair in people
    ]
    assert measure_clicks(model, {"msrs": unknown}, 4) == ()
    assert min(row.detected, row.alone) > 0.6
    assert measure_clicks(model, {}, 4) == ()


def test_the_mean_of_no_effects_is_undefined():
    assert np.isnan(MaskEffect.mean([]).contrast)


def test_cost_is_measured_in_turns_with_and_without_a_mask(model):
    cost = measure_cost(model, load_model("m2pn-edge"), rounds=2, size=(64, 96))
    assert list(cost) == ["m2pn-edge", "ctrlfuse, nothing marked", "ctrlfuse, a person marked"]
    assert {timing.count for timing in cost.values()} == {2}
    assert torch.is_grad_enabled()


def test_a_crop_shows_the_target():
    mask = np.zeros((240, 320), np.uint8)
    mask[200:239, 300:319] = 1
    crop = cropper(mask)(np.repeat(mask[..., None] * 255, 3, axis=2))
    assert crop.shape == (360, 360, 3)
    assert crop.max() == 255


@pytest.fixture(scope="module")
def people(recordings):
    return spread_evenly(read_masked(recordings / "msrs"), 4)


@pytest.mark.data
def test_every_part_acts_on_the_shipped_weights(model, people):
    """Of 22 % that a target gains, all are the prompts', half of it what the fusion reads in them.

    Without the segmenter boxes cost about 2.5 % of it, in a change of the surround.
    """
    samples = [sample_of(pair, boxes=boxes) for boxes in (False, True) for pair in people]
    found = measure_parts(model, SYSTEM, samples, seeds=1)
    parts = {(e.figure.partition(":")[0], e.part, e.how): e for e in found}
    for kind in ("masks", "boxes"):
        whole = parts[kind, "prompts", "zero"].whole
        assert whole > 12
        assert parts[kind, "mask", "none"].difference == pytest.approx(-whole)
        assert parts[kind, "prompts", "zero"].difference == pytest.approx(-whole)
        assert parts[kind, "prompts", "another picture's"].difference < -0.5 * whole
        assert parts[kind, "prompts read by the fusion", "zero"].difference < -0.2 * whole
        assert parts[kind, "prompts: what", "another picture's"].change > 0.005
    assert parts["boxes", "segmenter", "the prompts' shape"].difference < -0.3


@pytest.mark.data
def test_boxes_become_silhouettes_and_masks_stay(model, people):
    effects = {name: mean_effect(model, people, PROMPTS[name]) for name in ("true", "boxes")}
    assert effects["boxes"].segmented_iou > 0.75 > effects["boxes"].prompt_iou + 0.1
    assert effects["true"].segmented_iou > 0.82
    assert effects["boxes"].outside < 0.001


def test_a_reference_that_marks_half_of_a_person_and_some_air_says_so():
    """Of the box's 40 rows the upper 30 are warm; the lower 30 are marked."""
    thermal, mask = np.full((80, 80), 40, np.uint8), np.zeros((80, 80), np.uint8)
    thermal[10:40, 30:50] = 200
    mask[20:50, 30:50] = 255
    labels = BoxLabels(np.array([[30, 10, 50, 50]], np.float32), np.array([PERSON]))
    pair = replace(example(np.dstack([thermal] * 3), thermal), labels=labels, mask=mask)
    (row,) = measure_references({"drawn": [MaskedPair(pair, np.dstack([thermal] * 6))]})
    assert row.people == 1
    found = (row.warm, row.cold, row.reachable)
    assert found == pytest.approx((20 / 30, 10 / 30, 30 / 40))
    assert len(references_table([row]).rows) == 1
    assert measure_references({"empty": []}) == ()


def test_boxes_are_mirrored_to_where_nobody_is_labelled():
    """In 100 columns 10..20 become 80..90; 60..70 become 30..40, where a region is ignored."""
    boxes = [[10, 5, 20, 25], [60, 5, 70, 25], [45, 30, 60, 50], [35, 0, 38, 40]]
    labels = BoxLabels(np.array(boxes, np.float32), np.array([PERSON, PERSON, PERSON, IGNORE]))
    blank = np.zeros((60, 100), np.uint8)
    pair = replace(example(np.dstack([blank] * 3), blank), labels=labels)
    assert elsewhere(pair).tolist() == [[80, 5, 90, 25]]


@pytest.mark.data
def test_people_are_looked_for_in_sources_and_in_fused_pictures(model, recordings):
    """Two pictures of msrs: their labels name nine and five people."""
    rows = measure_detection(model, recordings, ["default"], 2, ["msrs"])
    by_picture = {row.shown: row for row in rows}
    assert len(rows) == len(by_picture) == 9
    assert {row.people for row in rows} == {14}
    unmarked = by_picture["ctrlfuse, nothing marked"]
    assert (unmarked.gain.value, unmarked.gain.low, unmarked.gain.high) == (0, 0, 0)
    for row in rows:
        assert row.gain.value == pytest.approx(row.ap50 - unmarked.ap50)
    assert by_picture["thermal"].recall > 0
    assert len(found_table(rows).rows) == 9


def test_recordings_must_be_named():
    with pytest.raises(UsageError, match="--data"):
        CtrlFuseBench(parts=("prompts",)).measure()
