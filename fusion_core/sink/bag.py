"""ROS 2 bags (MCAP), written without a ROS installation."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from rosbags.interfaces import Connection
from rosbags.rosbag2 import StoragePlugin, Writer, WriterError
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from fusion_core.errors import SinkError
from fusion_core.runtime.closable import Closable
from fusion_core.sink.base import Sink, SinkKind, make_folder
from fusion_core.transport.camera_info import camera_info_fields
from fusion_core.transport.result_header import result_header
from fusion_core.types import CameraModel, Detection, Frame, FusedFrame

# rosbags makes its message classes at run time, from their definitions.
_Message: TypeAlias = Any

_NS = 1_000_000_000
_STORE_EVERY_S = 1.0
_IMAGE = "sensor_msgs/msg/Image"
_CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
_DETECTIONS = "vision_msgs/msg/Detection2DArray"
_INPUT_TOPICS = {"visible": "/rgb", "thermal": "/thermal"}
_VISION_MSGS = {
    "vision_msgs/msg/Point2D": "float64 x\nfloat64 y\n",
    "vision_msgs/msg/Pose2D": "vision_msgs/Point2D position\nfloat64 theta\n",
    "vision_msgs/msg/BoundingBox2D": "vision_msgs/Pose2D center\nfloat64 size_x\nfloat64 size_y\n",
    "vision_msgs/msg/ObjectHypothesis": "string class_id\nfloat64 score\n",
    "vision_msgs/msg/ObjectHypothesisWithPose": (
        "vision_msgs/ObjectHypothesis hypothesis\ngeometry_msgs/PoseWithCovariance pose\n"
    ),
    "vision_msgs/msg/Detection2D": (
        "std_msgs/Header header\nvision_msgs/ObjectHypothesisWithPose[] results\n"
        "vision_msgs/BoundingBox2D bbox\nstring id\n"
    ),
    "vision_msgs/msg/Detection2DArray": (
        "std_msgs/Header header\nvision_msgs/Detection2D[] detections\n"
    ),
}


class BagRecorder(Closable):
    """Write images, camera models and detections to a new rosbag2 folder.

    Args:
        path: Folder to create.

    Raises:
        SinkError: It exists already or cannot be created.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._store = get_typestore(Stores.ROS2_JAZZY)
        for name, definition in _VISION_MSGS.items():
            self._store.register(get_types_from_msg(definition, name))
        self._types: dict[str, Any] = dict(self._store.types)
        self._topics: dict[str, Connection] = {}
        self._stored_at = time.monotonic()
        if path.exists():
            raise SinkError(
                f"{path}: exists already, bags are not overwritten; choose a new folder"
            )
        make_folder(path.parent)
        try:
            self._writer: Writer | None = Writer(path, version=9, storage_plugin=StoragePlugin.MCAP)
            self._writer.open()
        except (WriterError, OSError) as error:
            raise self._failed(error) from None

    def write_frame(self, frame: Frame) -> None:
        """Write an input frame to ``/rgb/image_raw`` or ``/thermal/image_raw``.

        Where the frame knows its camera, the ``camera_info`` goes beside it.

        Raises:
            SinkError: It cannot be written.
        """
        base = _INPUT_TOPICS[frame.modality]
        header = self._header(frame.stamp_ns, frame.frame_id)
        self._write_image(f"{base}/image_raw", header, frame.image, frame.encoding)
        if frame.camera is not None:
            self._write_camera(f"{base}/camera_info", header, frame.camera)

    def write_fused(self, fused: FusedFrame) -> None:
        """Write ``/fusion/image`` (bgr8) and ``/fusion/detections``.

        Where the camera of the result's pixels is known, its ``/fusion/camera_info`` goes beside
        it. Stamp and frame are those of ``result_header``; an object that is predicted has the
        stamp of the picture in which the detector saw it, in the header of its own.

        Raises:
            SinkError: It cannot be written.
        """
        result = result_header(fused)
        header = self._header(result.stamp_ns, result.frame_id)
        bgr = cv2.cvtColor(fused.image, cv2.COLOR_RGB2BGR)
        self._write_image("/fusion/image", header, bgr, "bgr8")
        if result.camera is not None:
            self._write_camera("/fusion/camera_info", header, result.camera)
        age_ns = 0 if fused.detected_ns is None else max(0, fused.stamp_ns - fused.detected_ns)
        earlier = self._header(result.stamp_ns - age_ns, result.frame_id)
        detections = [
            self._detection(earlier if found.predicted else header, found)
            for found in fused.detections
        ]
        message = self._types[_DETECTIONS](header, detections)
        self._write("/fusion/detections", _DETECTIONS, header, message)

    def close(self) -> None:
        """Write the index; may be called twice.

        Raises:
            SinkError: It cannot be written.
        """
        writer, self._writer = self._writer, None
        if writer is not None:
            self._guarded(writer.close)

    def _write(self, topic: str, kind: str, header: _Message, message: _Message) -> None:
        writer = self._writer
        if writer is None:
            raise SinkError(f"{self._path}: is closed already; open a new bag")
        if topic not in self._topics:
            self._topics[topic] = writer.add_connection(topic, kind, typestore=self._store)
        log_ns = header.stamp.sec * _NS + header.stamp.nanosec
        raw = self._store.serialize_cdr(message, kind)
        self._guarded(lambda: writer.write(self._topics[topic], log_ns, raw))
        if time.monotonic() - self._stored_at >= _STORE_EVERY_S:
            self._guarded(self._store_pending)
            self._stored_at = time.monotonic()

    def _store_pending(self) -> None:
        """Write what waits in memory, so that a process that is killed loses a second at most."""
        # The writer's interface has no such step; its MCAP storage does.
        storage: Any = self._writer.storage if self._writer is not None else None
        if storage is not None and storage.chunk.bio.tell():
            storage.close_chunk()
            storage.bio.flush()

    def _write_image(
        self,
        topic: str,
        header: _Message,
        image: NDArray[Any],
        encoding: str,
    ) -> None:
        little = np.ascontiguousarray(image, image.dtype.newbyteorder("<"))
        data = little.reshape(-1).view(np.uint8)
        height, width = image.shape[:2]
        message = self._types[_IMAGE](header, height, width, encoding, 0, data.size // height, data)
        self._write(topic, _IMAGE, header, message)

    def _header(self, stamp_ns: int, frame_id: str) -> _Message:
        time = self._types["builtin_interfaces/msg/Time"](*divmod(stamp_ns, _NS))
        return self._types["std_msgs/msg/Header"](time, frame_id)

    def _write_camera(self, topic: str, header: _Message, camera: CameraModel) -> None:
        fields = camera_info_fields(camera)
        region = self._types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
        info = self._types[_CAMERA_INFO](
            header=header,
            height=fields["height"],
            width=fields["width"],
            distortion_model=fields["distortion_model"],
            d=np.array(fields["d"], np.float64),
            k=np.array(fields["k"], np.float64),
            r=np.array(fields["r"], np.float64),
            p=np.array(fields["p"], np.float64),
            binning_x=0,
            binning_y=0,
            roi=region,
        )
        self._write(topic, _CAMERA_INFO, header, info)

    def _detection(self, header: _Message, found: Detection) -> _Message:
        """Translate one detection; the message gives the box by its centre."""
        types = self._types
        x, y, width, height = (float(value) for value in found.box)
        centre = types["vision_msgs/msg/Point2D"](x + width / 2, y + height / 2)
        box = types["vision_msgs/msg/BoundingBox2D"](
            types["vision_msgs/msg/Pose2D"](centre, 0.0), width, height
        )
        pose = types["geometry_msgs/msg/PoseWithCovariance"](
            types["geometry_msgs/msg/Pose"](
                types["geometry_msgs/msg/Point"](0.0, 0.0, 0.0),
                types["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0),
            ),
            np.zeros(36),
        )
        hypothesis = types["vision_msgs/msg/ObjectHypothesis"](found.label, float(found.score))
        result = types["vision_msgs/msg/ObjectHypothesisWithPose"](hypothesis, pose)
        track = "" if found.track_id is None else str(found.track_id)
        return types["vision_msgs/msg/Detection2D"](header, [result], box, track)

    def _guarded(self, action: Callable[[], None]) -> None:
        try:
            action()
        except (WriterError, OSError) as error:
            raise self._failed(error) from None

    def _failed(self, error: Exception) -> SinkError:
        reason = getattr(error, "strerror", None) or error
        return SinkError(f"{self._path}: cannot be written ({reason}); choose another place")


class BagSink(Sink):
    """Write fused frames to a new rosbag2 folder; see ``BagRecorder.write_fused``.

    Args:
        path: Folder to create.

    Raises:
        SinkError: It exists already or cannot be created.
    """

    def __init__(self, path: Path) -> None:
        self.path: Path = path
        self._recorder = BagRecorder(path)

    def write(self, fused: FusedFrame) -> None:
        """Write one result."""
        self._recorder.write_fused(fused)

    def close(self) -> None:
        """Write the bag's index."""
        self._recorder.close()


BAG = SinkKind(
    open=lambda address, _overlay: BagSink(Path(address.removeprefix("bag:"))),
    example="bag:DIR (rosbag2)",
)
