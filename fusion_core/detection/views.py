"""Merge what the two views of a detector for pairs propose: both cameras, and thermal alone.

A network for pairs may have an auxiliary branch that sees thermal alone, whose points are the
second half of its output. The branch finds people whom a misleading visible picture hides, but also
sees them in warm grilles, lamps and sculptures of which the visible picture shows plainly that they
are none. How far the visible picture can be trusted at a point, in smoke, at night, in glare, is
what the mixed features have learnt; so the branch is believed as far as both cameras together see
somebody there, however faintly.

The boxes that several points propose for one object are averaged: their errors differ.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from fusion_core.detection.boxes import Candidates, FloatArray, overlaps, strongest

LEAST: Final = 0.01
"""Score from which on a candidate counts for others."""
_PERSON: Final = 0
_SAME: Final = 0.5  # overlap from which on both views mean one person
_FAINT: Final = 0.3  # score of both cameras from which on thermal alone is believed wholly
_DOUBT: Final = 0.05  # least part of that score that counts
_AVERAGED: Final = 0.7  # overlap from which on boxes are averaged


def merge_views(found: Candidates, threshold: float, iou: float, *, auxiliary: bool) -> Candidates:
    """Return the objects that the candidates of a network mean, highest score first.

    Args:
        found: All candidates in the order of the network's points.
        threshold: Least score of what is returned.
        iou: Overlap above which two boxes of a class are one object.
        auxiliary: The second half is of the thermal branch, which finds people alone.
    """
    weighed = _weighed(found) if auxiliary else found
    weighed = weighed.take(weighed.scores >= min(LEAST, threshold))
    kept = strongest(weighed, threshold, iou)
    return kept._replace(boxes=_averaged(kept, weighed))


def _weighed(found: Candidates) -> Candidates:
    """Return the same with the thermal branch's scores weighed by those of both cameras."""
    half = len(found.scores) // 2
    alone = half + np.flatnonzero(found.scores[half:] >= LEAST)
    people = (found.classes[:half] == _PERSON) & (found.scores[:half] >= LEAST)
    both = found.take(np.flatnonzero(people))
    meant = overlaps(found.boxes[alone], both.boxes) > _SAME
    seen = np.where(meant, both.scores[None], 0.0).max(axis=1, initial=0.0)
    scores = found.scores.copy()
    scores[alone] *= np.sqrt(np.clip(seen / _FAINT, _DOUBT, 1.0))
    return found._replace(scores=scores)


def _averaged(kept: Candidates, found: Candidates) -> FloatArray:
    """Return the boxes of objects, each the mean of those that propose it, by score and overlap.

    A candidate proposes the object that it overlaps most, so that neighbours do not draw near.
    """
    same = kept.classes[:, None] == found.classes[None]
    overlap = overlaps(kept.boxes, found.boxes) * same
    own = (overlap >= _AVERAGED) & (overlap == overlap.max(axis=0, initial=0.0))
    weight = np.where(own, overlap * found.scores[None], 0.0)
    # A box without area overlaps nothing, not even itself.
    whole = weight.sum(axis=1, keepdims=True)
    mean = weight @ found.boxes / np.maximum(whole, np.finfo(float).tiny)
    return np.where(whole > 0, mean, kept.boxes)
