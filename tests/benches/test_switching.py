"""The bench of switching: changes found by hand-made frames, and a run over the street."""

import cv2
import pytest

from fusion_core.errors import SourceError, UsageError
from fusion_lab.benches.switching import (
    FrameChange,
    SwitchingBench,
    draw_switching,
    find_switches,
    measure_switching,
)


def test_switches_are_found_with_what_happens_around_them():
    """Fifteen frames of fade move by 2 of 255, all others by 1."""
    frames = [
        FrameChange("a" if n < 40 else "b", 0.7, 0.0, 2.0 if 40 <= n < 55 else 1.0, 0.0)
        for n in range(80)
    ]
    (switch,) = find_switches(frames)
    assert (switch.frame, switch.model) == (40, "b")
    assert (switch.fade, switch.fade_most) == (2, 2)
    assert (switch.around, switch.around_most) == (1, 1)


def test_a_run_over_day_and_smoke(tmp_path):
    street = "synthetic://street?seed=1&seconds=3&rgb_hz=3&registered=1"
    result = SwitchingBench(bag=street, settings=("device=cpu",)).measure()
    assert len(result.frames) == 9
    assert result.frames[0].fused == result.frames[0].visible == 0
    assert all(frame.visible > 0 for frame in result.frames[1:])
    assert {frame.model for frame in result.frames} <= {"m2pn-edge", "mdaif"}
    assert len(result.switches) == sum(
        first.model != second.model
        for first, second in zip(result.frames, result.frames[1:], strict=False)
    )
    for table in result.tables():
        table.markdown()
    draw_switching(result, tmp_path / "auto.png")
    assert cv2.imread(str(tmp_path / "auto.png")) is not None


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(UsageError, match="--visible SRC and --thermal SRC, or --bag SRC"):
        SwitchingBench(visible="a.mp4").measure()
    with pytest.raises(SourceError, match="0 complete frames"):
        measure_switching([])
