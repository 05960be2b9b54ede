"""A recording in some of whose frames people were labelled and told apart by eye."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

from fusion_core.detection.camera_motion import CameraMotion
from fusion_core.detection.labels import CLASSES, labelled_stems, read_labels
from fusion_core.errors import SourceError
from fusion_core.source import open_source
from fusion_core.types import Box, Detection
from fusion_lab.benches.streams import synchronised
from fusion_lab.benches.tracking.sequences import Find, Observation

_COLUMNS = ("frame", "identity", "x", "y", "w", "h")
PERSON = CLASSES[0]
People = Mapping[int, tuple[tuple[int, Detection], ...]]
"""Number of a frame -> identity and box of each person in it."""


def read_people(path: Path) -> People:
    """Read lines ``frame,identity,x,y,w,h`` in pixels, below a header of these names.

    Raises:
        SourceError: The file is missing, or a line is not of this form.
    """
    people: dict[int, tuple[tuple[int, Detection], ...]] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}; name a file of identities") from None
    for number, row in enumerate(rows, 2):
        try:
            frame, identity, *box = (float(row[name]) for name in _COLUMNS)
            x, y, width, height = box
        except (KeyError, TypeError, ValueError):
            raise SourceError(
                f"{path}: line {number}: expected numbers for {','.join(_COLUMNS)}"
            ) from None
        seen = Detection(PERSON, 1.0, (x, y, width, height))
        people[int(frame)] = (*people.get(int(frame), ()), (int(identity), seen))
    return people


def observe_recording(folder: Path, people: People, find: Find) -> Iterator[Observation]:
    """Iterate over what is found of people, from the first frame to the last that is judged.

    Args:
        folder: Holds ``vi.mp4`` and ``ir.mp4``, and ``labels/`` of the judged frames, whose ignored
            regions are left out.
        people: Who is where.
        find: The detector.

    Raises:
        SourceError: A file is missing or torn, or ends before the last judged frame.
    """
    motion, before, last = CameraMotion(), list[Box](), max(people)
    stems = {int(stem): stem for stem in labelled_stems(folder / "labels")}
    number = -1
    with open_source(visible=folder / "vi.mp4", thermal=folder / "ir.mp4") as source:
        for pair in synchronised(source):
            if pair.visible is None or pair.thermal is None:
                continue
            number = pair.visible.sequence
            if number < min(people):
                continue
            aligned, found = find(pair.visible, pair.thermal)
            own = tuple(detection for detection in found if detection.label == PERSON)
            step, before = motion.step(aligned, before), [detection.box for detection in own]
            shape = aligned.valid.shape
            judged = number in people
            yield Observation(
                stamp_ns=pair.stamp_ns,
                detections=own,
                motion=step,
                truth=people.get(number, ()),
                ignore=_ignored(folder, stems.get(number), *shape) if judged else (),
                judged=judged,
            )
            if number >= last:
                return
    raise SourceError(f"{folder}: ends at frame {number}, before frame {last}, which is judged")


def _ignored(folder: Path, stem: str | None, height: int, width: int) -> tuple[Box, ...]:
    """Return the regions of a frame in which nobody could be labelled."""
    if stem is None:
        return ()
    regions = read_labels(folder / "labels", stem, height, width).ignore
    return tuple((float(a), float(b), float(c - a), float(d - b)) for a, b, c, d in regions)
