"""One line of meaning for every stage, drop cause and condition that a report shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

STAGES: Final[Mapping[str, str]] = {
    "bracket": "Merges the exposures of the visible camera.",
    "thermal": "Converts the thermal frame to luminance and temperature.",
    "registration": "Warps the thermal image onto the visible pixel grid.",
    "prior": "Assesses how degraded the scene's images are.",
    "mask": "Builds the mask of important areas.",
    "recall": "Completes the visible image by what the scene memory has.",
    "fusion": "Fuses both images, with the transfer to and from the device.",
    "network": "The network alone, a part of fusion.",
    "detection": "Tracks objects, after the fusion; with what the detector still takes then.",
    "detector": "The detector alone, from the pair given to it to its answer, beside the fusion.",
    "total": "All stages above, per pair.",
    "age": "From the pairing of a live pair to its result.",
    "sink": "Writes a result to one output, beside the fusion of the next ones.",
    "end_to_end": "From the capture of a pair to the arrival of its result.",
}
"""Stages of a frame in the pipeline's order."""

PARTS: Final = (
    "bracket",
    "thermal",
    "registration",
    "prior",
    "mask",
    "recall",
    "fusion",
    "detection",
)
"""Stages that add up to ``total``."""

DROP_CAUSES: Final[Mapping[str, str]] = {
    "no_partner": "No frame of the other stream was close enough in time.",
    "unused": "The other stream is slower, or ended earlier.",
    "too_old": "Arrived after its pair was due.",
    "out_of_order": "Arrived after a later frame of its stream.",
    "duplicate": "Repeated the stamp of the frame before.",
    "overrun": "More frames than the buffer holds waited for a partner.",
    "time_jump": "The clock of a stream jumped.",
    "bracketed": "Merged into another exposure of its bracket.",
    "bracket_incomplete": "The other exposures of its bracket did not come.",
    "unread": "Still waited to be read when the run ended.",
    "closed": "Waited for a partner when the run ended, or arrived after it.",
    "unknown_encoding": "The pixel encoding is not supported.",
    "corrupt": "The data were truncated or damaged.",
    "queue_full": "Frames arrived faster than they were read.",
    "lost_on_wire": "Lost between sender and receiver.",
    "busy": "A newer pair arrived while the previous one was being fused.",
    "frozen": "The thermal shutter was closed.",
    "failed": "The pair could not be fused.",
}

CONDITIONS: Final[Mapping[str, str]] = {
    "visible_missing": "without a visible frame",
    "visible_held": "an earlier visible frame was used again",
    "visible_frozen": "the visible camera repeated its frame",
    "bracket_missing": "the visible camera did not alternate its exposure",
    "bracket_failed": "the exposures could not be merged, one took their place",
    "thermal_missing": "without a thermal frame",
    "thermal_held": "an earlier thermal frame was used again",
    "thermal_frozen": "the thermal shutter was closed",
    "thermal_colour_mapped": "the thermal stream is colour-mapped",
    "time_jump": "the clock of a stream jumped",
    "clocks_differ": "the clocks of the two streams differ",
    "uncalibrated": "the thermal image was left out: camera infos or transform are missing",
    "registration_low": "the registration had low confidence",
    "registration_failed": "the registration was not measured",
    "prior_failed": "the prior provider failed",
    "prior_timeout": "the prior provider exceeded its time limit",
    "prior_stale": "the scene prior was out of date",
    "prior_disputed": "two providers of scene priors disagreed",
    "detector_failed": "the detector failed",
    "detector_timeout": "the detector exceeded its time limit",
    "fusion_failed": "the network failed and the visible picture took its place",
    "fusion_timeout": "the network exceeded its time limit and the visible picture took its place",
    "engine_away": "the server of the network was away and the plain mean took its place",
    "memory_fresh": "the memory bank started from its trained state",
    "memory_unsaved": "the memory bank is not saved, as its file is none of a bank",
}
"""Conditions in the health of a frame, worded to follow a count of frames."""
