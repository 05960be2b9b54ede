"""The conditions of a stream in words, each with what helps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fusion_core.view.controls import Status

_SILENT_S: Final = 2.0
_PICTURES: Final = 4.0  # times what one picture takes: a slow machine is not a silent one

_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "visible_missing": (
        "No colour picture: the thermal camera is shown alone",
        "Check the colour camera and its cable; the stream goes on by itself when it is back.",
    ),
    "visible_held": (
        "The colour picture is an earlier one",
        "The colour camera is slower than the thermal one, or loses frames: see the rates.",
    ),
    "visible_frozen": (
        "The colour camera repeats one picture",
        "Restart the camera or its driver.",
    ),
    "thermal_missing": (
        "No thermal picture: the colour camera is shown alone",
        "Check the thermal camera and its cable, and the clocks of both cameras.",
    ),
    "thermal_held": (
        "The thermal picture is an earlier one",
        "The thermal camera is slower than the colour one: nothing to do unless it lasts.",
    ),
    "thermal_frozen": (
        "The thermal camera's shutter is closed",
        "It calibrates itself and opens again within seconds; if not, restart the camera.",
    ),
    "thermal_colour_mapped": (
        "The thermal camera sends false colours",
        "Let it send 16-bit or gray pictures: false colours carry no temperature.",
    ),
    "time_jump": (
        "The clock of a camera jumped",
        "Nothing, if it happens once; else synchronise the clocks (chrony, PTP).",
    ),
    "clocks_differ": (
        "The clocks of the two cameras differ",
        "Synchronise them, or set sync.thermal_offset_ms to auto.",
    ),
    "registration_low": (
        "The pictures may not lie on each other",
        "Normal in fog or before a plain wall; if it lasts, calibrate with `fusion calibrate`.",
    ),
    "registration_failed": (
        "The alignment is no longer measured",
        "The last correction stays; restart the stream when convenient.",
    ),
    "prior_failed": (
        "The scene could not be assessed",
        "The last assessment stays; see the log for the reason.",
    ),
    "prior_timeout": (
        "The assessment of the scene takes too long",
        "The last one stays; choose the prior `embedded` on a slow machine.",
    ),
    "prior_stale": (
        "The assessment of the scene is out of date",
        "The machine is busy: stop other programs, or choose the prior `embedded`.",
    ),
    "prior_disputed": (
        "Two assessments of the scene disagree",
        "Look at the pictures before you trust what is said to degrade them.",
    ),
    "detector_failed": (
        "Objects are not detected: the detector failed",
        "See the log; start again with another detector.",
    ),
    "detector_timeout": (
        "Objects are not detected: the detector takes too long",
        "Choose a faster detector, or stop other programs.",
    ),
    "fusion_failed": (
        "The network failed: the colour picture is shown",
        "Choose another model below.",
    ),
    "fusion_timeout": (
        "The network takes too long: the colour picture is shown",
        "Choose a smaller model below, or stop other programs.",
    ),
    "failed": (
        "A pair of pictures could not be fused",
        "The stream goes on with the next one; see the log for the reason.",
    ),
    "mask_rejected": (
        "What is marked does not fit the picture",
        "Take the marks back and mark again; a mask file must have the picture's size.",
    ),
    "memory_fresh": (
        "The memory bank starts as trained",
        "Nothing: its file could not be used and was set aside.",
    ),
    "memory_unsaved": (
        "The memory bank is not saved",
        "Set memory.file to another file: the present one is none of a bank.",
    ),
}


def health_lines(
    health: tuple[str, ...], status: Status, age_s: float | None
) -> list[dict[str, Any]]:
    """Return what is wrong, the most important first; empty when all is well.

    Args:
        health: Conditions of the newest result.
        status: Counters and state.
        age_s: Seconds since the newest result, None before the first.

    Returns:
        Of each condition its ``code``, ``words`` and ``remedy``.
    """
    lines = []
    picture_s = status.latency_ms.get("total", {}).get("p50", 0.0) / 1e3
    if age_s is None or age_s > max(_SILENT_S, _PICTURES * picture_s):
        lines.append(_silence(status, age_s))
    for code in health:
        words, remedy = _WORDS.get(code, (code.replace("_", " ").capitalize(), "See the log."))
        if code in {"failed", "fusion_failed"} and status.last_error:
            words = f"{words} ({status.last_error})"
        lines.append({"code": code, "words": words, "remedy": remedy})
    return lines


def _silence(status: Status, age_s: float | None) -> dict[str, Any]:
    silent = [name for name in ("visible", "thermal") if not status.rates_hz.get(name)]
    cameras = {"visible": "the colour camera", "thermal": "the thermal camera"}
    words = "No picture yet" if age_s is None else f"No new picture for {age_s:.0f} s"
    if silent:
        named = " and ".join(cameras[name] for name in silent)
        remedy = f"Nothing arrives from {named}: check power, cable and driver."
    else:
        remedy = "Both cameras send, and no pair is fused: check their clocks and what was dropped."
    return {"code": "silent", "words": words, "remedy": remedy}
