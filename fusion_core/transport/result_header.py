"""What a result's message says beside its pixels, for every output that has messages."""

from __future__ import annotations

from dataclasses import dataclass

from fusion_core.types import CameraModel, FusedFrame, PixelGrid


@dataclass(frozen=True, slots=True)
class ResultHeader:
    """Stamp, frame and camera of a result.

    Attributes:
        stamp_ns: Stamp of the camera image that led the pair, as it came in, in nanoseconds.
        frame_id: Optical frame of the camera on whose pixels the result lies, may be empty.
        camera: Intrinsics of that camera, None when unknown or for images of another size.
    """

    stamp_ns: int
    frame_id: str
    camera: CameraModel | None


def result_header(fused: FusedFrame, frame_id: str = "") -> ResultHeader:
    """Return the header of a result.

    Args:
        fused: The result; its pair holds at least one frame.
        frame_id: Frame to state instead of the camera's.
    """
    lead = fused.pair.lead_frame
    grid = fused.aligned.grid
    if grid is None:
        frame = fused.pair.visible or lead
        grid = PixelGrid(frame.frame_id, frame.camera)
    camera = grid.camera
    fits = camera is not None and (camera.height, camera.width) == fused.image.shape[:2]
    return ResultHeader(lead.stamp_ns, frame_id or grid.frame_id, camera if fits else None)
