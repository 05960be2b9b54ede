"""A calibration as one HTML page: detections, residuals, and both images before and after."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from fusion_core.calibration.figures import (
    draw_coverage,
    draw_errors,
    draw_residuals,
    draw_time_offset,
)
from fusion_core.calibration.intrinsics import Intrinsics
from fusion_core.calibration.recording import TargetTrack
from fusion_core.calibration.solve import Calibration
from fusion_core.calibration.time_offset import TimeOffset
from fusion_core.errors import CalibrationError
from fusion_core.pages import (
    Fact,
    HeadlineFigure,
    Page,
    PageTable,
    PictureRow,
    Plot,
    Verdict,
    render_page,
)
from fusion_core.registration import Rig
from fusion_core.runtime.files import atomic_path
from fusion_core.types import Modality

_HIGH_RMS_PX: Final = 0.7
_HIGH_DEVIATION_MS: Final = 2.0


def write_page(path: Path, rig: Rig, rows: Sequence[PictureRow], plots: Sequence[Plot]) -> None:
    """Write the page.

    Raises:
        CalibrationError: The file cannot be written.
    """
    record = rig.calibration
    facts = {"Method": "method", "Target": "target", "Date": "date", "Software": "software"}
    page = Page(
        title="Calibration report",
        verdict=rig_verdict(rig),
        facts=[Fact(name, str(record[key])) for name, key in facts.items() if key in record],
        headlines=[*_headlines(rig)],
        pictures={"Before and after": rows},
        plots=plots,
        details=[
            PageTable("Rig", ["key", "value"], [*_values(rig)], text_columns=frozenset({0, 1}))
        ],
    )
    try:
        with atomic_path(path) as temporary:
            temporary.write_text(render_page(page), encoding="utf-8")
    except OSError as error:
        raise CalibrationError(
            f"{path}: cannot be written ({error.strerror}); choose another place"
        ) from None


def board_plots(calibration: Calibration, tracks: Mapping[Modality, TargetTrack]) -> list[Plot]:
    """Return the plots of a calibration with a board."""
    sides: list[tuple[Modality, Intrinsics]] = [
        ("visible", calibration.visible),
        ("thermal", calibration.thermal),
    ]
    note = "Where in the image the board was detected; the whole image should be covered."
    plots = [
        Plot(f"Detected points, {modality}", draw_coverage(tracks[modality], camera), note)
        for modality, camera in sides
    ]
    note = "Observed minus projected position of each point; a round cloud is noise."
    plots += [
        Plot(f"Residuals, {modality}", draw_residuals(modality, camera), note)
        for modality, camera in sides
    ]
    note = "Error of each pair of views after the pose was estimated."
    plots.append(Plot("Error per pair", draw_errors(calibration.pose), note))
    if calibration.time_offset is not None:
        plots += time_offset_plots(calibration.time_offset)
    return plots


def time_offset_plots(time_offset: TimeOffset) -> list[Plot]:
    """Return the plot of how the time offset was found."""
    note = "Correlation of the motion in both cameras; one clear peak is needed."
    return [Plot("Time offset", draw_time_offset(time_offset), note)]


def rig_verdict(rig: Rig) -> Verdict:
    """Return the quality of a rig in words.

    It needs attention above 0.7 px RMS or 2 ms deviation of the time offset.
    """
    record: Mapping[str, Any] = rig.calibration
    errors = {
        name: float(record[name]["rms_px"])
        for name in ("visible", "thermal", "pose")
        if "rms_px" in record.get(name, {})
    }
    high = [name for name, rms in errors.items() if rms > _HIGH_RMS_PX]
    sentences = [
        f"{name.capitalize()}: {rms:.2f} px RMS" + (" (high)." if name in high else ".")
        for name, rms in errors.items()
    ]
    if "spread_px" in record:
        sentences.append(
            f"The registrations of {record.get('moments', 0)} samples agree within "
            f"{record['spread_px']:.2f} px in the median."
        )
    deviation = record.get("time_offset", {}).get("deviation_ms")
    uncertain = deviation is not None and deviation > _HIGH_DEVIATION_MS
    known = "" if deviation is None else f", with a standard deviation of {deviation:.2f} ms"
    sentences.append(f"{rig.thermal_offset_ms:+.2f} ms are added to thermal stamps{known}.")
    if high or uncertain:
        headline = "The rig can be used, but its accuracy is low; record it again."
        return Verdict("attention", headline, tuple(sentences))
    return Verdict("good", "The calibration is consistent.", tuple(sentences))


def _headlines(rig: Rig) -> Iterator[HeadlineFigure]:
    record: Mapping[str, Any] = rig.calibration
    for modality in ("visible", "thermal"):
        if "rms_px" in record.get(modality, {}):
            yield HeadlineFigure(f"{modality} RMS (px)", f"{record[modality]['rms_px']:.3f}")
    if "rms_px" in record.get("pose", {}):
        yield HeadlineFigure("pose RMS (px)", f"{record['pose']['rms_px']:.3f}")
    if rig.t_thermal_rgb is not None:
        baseline_mm = 1e3 * float(np.linalg.norm(rig.t_thermal_rgb[:3, 3]))
        yield HeadlineFigure("baseline (mm)", f"{baseline_mm:.1f}")
    if "spread_px" in record:
        yield HeadlineFigure("deviation of the samples (px)", f"{record['spread_px']:.2f}")
    yield HeadlineFigure("thermal time offset (ms)", f"{rig.thermal_offset_ms:+.2f}")


def _values(rig: Rig) -> Iterator[list[str]]:
    """Yield every value of the rig file."""

    def flat(value: Any, key: str) -> Iterator[list[str]]:  # noqa: ANN401
        if isinstance(value, Mapping):
            for name, inner in value.items():
                yield from flat(inner, f"{key}.{name}" if key else str(name))
        else:
            yield [key, _digits(value)]

    yield from flat(rig.to_mapping(), "")


def _digits(value: Any) -> str:  # noqa: ANN401
    """Return numbers with six digits, rows of a matrix apart."""
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_digits(entry) for entry in value) + "]"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
