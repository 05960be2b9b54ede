"""Which moments of a recording are kept."""

import json

import cv2
import numpy as np

from fusion_core.types import AlignedPair, Frame, FramePair, FusedFrame
from fusion_lab.fleet.moments import MOMENTS_FILE, MomentSelector, moment_from


def result(frame, quality, *health, hz=10):
    stamp = int(frame * 1e9 / hz)
    picture = np.full((8, 12, 3), frame, np.uint8)
    visible = Frame(stamp, "visible", picture, "rgb8")
    aligned = AlignedPair(stamp, picture, None, np.ones((8, 12), bool))
    pair = FramePair(stamp, visible, None, None)
    return FusedFrame(frame, stamp, picture, pair, aligned, health=health, quality=quality)


def kept(tmp_path, results):
    selector = MomentSelector()
    for each in results:
        selector.consider_result(each)
    selector.save(tmp_path, "drive")
    return [moment_from(values) for values in json.loads((tmp_path / MOMENTS_FILE).read_text())]


def test_the_worst_two_a_second_apart_are_kept(tmp_path):
    qualities = np.full(60, 0.9)
    qualities[[5, 8, 30, 50]] = 0.5, 0.2, 0.4, 0.3
    moments = kept(tmp_path, [result(i, quality) for i, quality in enumerate(qualities)])
    assert [(moment.frame, moment.badness) for moment in moments] == [(8, 0.8), (50, 0.7)]
    file = tmp_path / moments[0].pictures["fused"]
    assert cv2.imread(str(file)).mean().round() == 8


def test_conditions_count_more_than_quality(tmp_path):
    results = [result(0, 0.0), result(20, 0.9, "thermal_held"), result(40, None)]
    moments = kept(tmp_path, results)
    assert [(moment.frame, moment.conditions) for moment in moments] == [
        (20, ("thermal_held",)),
        (0, ()),
    ]


def test_a_run_without_results_has_none(tmp_path):
    assert kept(tmp_path, []) == []
