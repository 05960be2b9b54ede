"""Results as the entities of a Rerun recording."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

from fusion_core.drawing import caption, label_colour
from fusion_core.errors import missing_extra
from fusion_core.sink.viewers import rerun_layout as layout
from fusion_core.sink.viewers.content import PICTURES, ViewerContent, jpeg, picture
from fusion_core.types import CameraModel, Detection, FusedFrame

# The package is optional, and treated alike where it is installed and where it is not.
_Recording: TypeAlias = Any
_HALF_PIXEL = 0.5
# Tableau's ten, as in most plots; RGB.
_COLOURS = (
    (31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40), (148, 103, 189),
    (140, 86, 75), (227, 119, 194), (127, 127, 127), (188, 189, 34), (23, 190, 207),
)  # fmt: skip


def import_rerun(what: str) -> ModuleType:
    """Return the package ``rerun``.

    Args:
        what: What needs it, for the message.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import rerun
    except ImportError:
        raise missing_extra(what, "rerun-sdk", "rerun") from None
    module: ModuleType = rerun
    return module


class RerunStream:
    """Log results to one recording, all on the time line ``stamp``.

    The time of an entity is the stamp of the camera image that led the pair, in nanoseconds.

    Args:
        rerun: The package.
        recording: Where to log; a new one gets camera and health with its first result.
    """

    def __init__(self, rerun: ModuleType, recording: _Recording) -> None:
        self._rr = rerun
        self._recording = recording
        self._camera: CameraModel | None = None
        self._health = ""
        self._series: dict[str, list[str]] = {}

    def log(self, fused: FusedFrame) -> None:
        """Log pictures, detections, camera, plots and health of one result."""
        content = ViewerContent.of(fused)
        stamp = np.datetime64(content.header.stamp_ns, "ns")
        self._recording.set_time(layout.TIMELINE, timestamp=stamp)
        self._log_camera(content.header.camera)
        for name in PICTURES:
            encoded = self._rr.EncodedImage(
                contents=jpeg(picture(fused, name)), media_type="image/jpeg"
            )
            self._recording.log(layout.picture_entity(name), encoded)
        self._recording.log(layout.DETECTIONS, self._boxes(content.detections))
        for group, values in content.plots.items():
            self._log_series(group, values)
        if content.health != self._health:
            self._health = content.health
            level = "INFO" if content.health.startswith("ok") else "WARN"
            self._recording.log(layout.HEALTH, self._rr.TextLog(content.health, level=level))

    def _boxes(self, detections: Sequence[Detection]) -> Any:  # noqa: ANN401 - as above
        """Return all boxes of a result, which replace those before it, even by none.

        Rerun counts pixels from the outer corner of the first one, as the boxes do.
        """
        boxes = np.array([found.box for found in detections], np.float32).reshape(-1, 4)
        return self._rr.Boxes2D(
            mins=boxes[:, :2],
            sizes=boxes[:, 2:],
            labels=[caption(found) for found in detections],
            colors=[label_colour(found.label) for found in detections],
            show_labels=True,
        )

    def _log_camera(self, camera: CameraModel | None) -> None:
        """Log the pinhole where it is a new one; lens distortion has no place in it."""
        if camera is None or camera == self._camera:
            return
        self._camera = camera
        matrix = np.array(camera.k, np.float64).reshape(3, 3)
        # Intrinsics count from the middle of the first pixel.
        matrix[:2, 2] += _HALF_PIXEL
        pinhole = self._rr.Pinhole(
            image_from_camera=matrix,
            resolution=(camera.width, camera.height),
            camera_xyz=self._rr.ViewCoordinates.RDF,
        )
        self._recording.log(layout.CAMERA, pinhole)

    def _log_series(self, group: str, values: Mapping[str, float]) -> None:
        """Log a group's values as one batch, which costs a tenth of an entity for each.

        A name keeps its place in the batch; what has no value now is not a number.
        """
        names = self._series.setdefault(group, [])
        new = [name for name in values if name not in names]
        if not (names or new):
            return
        entity = f"{layout.PLOTS}/{group}"
        if new:
            names += new
            colors = [_COLOURS[index % len(_COLOURS)] for index in range(len(names))]
            lines = self._rr.SeriesLines(names=names, colors=colors)
            self._recording.log(entity, lines, static=True)
        self._recording.log(
            entity, self._rr.Scalars([values.get(name, math.nan) for name in names])
        )
