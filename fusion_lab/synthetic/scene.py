"""A synthetic street as two camera streams with ground truth."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import numpy as np

from fusion_core.errors import UsageError
from fusion_core.types import CameraModel, Frame, Modality
from fusion_lab.synthetic.camera import (
    Camera,
    StereoRig,
    default_rig,
    platform_pose,
    registered_rig,
)
from fusion_lab.synthetic.render import Renderer
from fusion_lab.synthetic.timeline import SCENES, conditions_at

START_NS = 1_700_000_000_000_000_000
_THERMAL_PHASE_NS = 7_000_000
_RANGES: dict[str, tuple[float, float]] = {
    "seed": (0, 2**31 - 1),
    "seconds": (0.1, 3600),
    "rgb_hz": (1, 120),
    "thermal_hz": (1, 120),
    "registered": (0, 1),
    "bracket": (1, 3),
    "still": (0, 1),
}
_WHOLE = {"seed", "registered", "bracket", "still"}
# Stops of the exposures that are taken in turn, and the time of the middle one.
_STOPS: Final = {1: (0.0,), 2: (-2.0, 2.0), 3: (-3.0, 0.0, 3.0)}
_EXPOSURE_S: Final = 1 / 250


@dataclass(frozen=True)
class SyntheticScene:
    """A patrol along a street with people and cars, seen by a colour and a thermal camera.

    The thermal picture is rendered from temperatures of its own, so smoke or darkness that hides a
    person from the colour camera leaves them in it. The same values give the same bytes.

    Attributes:
        name: One of ``street``, ``day``, ``night``, ``smoke``, ``haze``, ``glare``, ``rain``,
            ``snow``, ``tunnel`` (before its exit); ``street`` goes through day, night, smoke,
            haze and glare.
        seed: Number of the world.
        seconds: Length of the scene.
        rgb_hz: Rate of the visible stream.
        thermal_hz: Rate of the thermal stream.
        registered: The thermal frames share the visible camera's pose and 640x480 grid.
        bracket: Exposures that the visible camera takes in turn, stops apart.
        still: Nothing moves, neither camera nor scene; noise goes on.
    """

    name: str
    seed: int = 1
    seconds: float = 12.0
    rgb_hz: float = 30.0
    thermal_hz: float = 25.0
    registered: bool = False
    bracket: int = 1
    still: bool = False

    @classmethod
    def from_url(cls, url: str) -> SyntheticScene:
        """Return the scene of a ``synthetic://NAME?seed=1&seconds=12`` address.

        Parameters: ``seed``, ``seconds``, ``rgb_hz``, ``thermal_hz`` (default 25, with
        ``registered=1`` the visible rate), ``registered``, ``bracket`` and ``still``.

        Raises:
            UsageError: The scene or a parameter is unknown, or a value is out of range.
        """
        parts = urlsplit(url)
        if parts.scheme != "synthetic":
            raise UsageError(f"{url}: not a synthetic scene; write synthetic://street?seed=1")
        name = (parts.netloc + parts.path).strip("/")
        if name not in SCENES:
            raise UsageError(f"{url}: unknown scene {name!r}; known scenes: {', '.join(SCENES)}")
        values: dict[str, Any] = {
            key: _number(url, key, text)
            for key, text in parse_qsl(parts.query, keep_blank_values=True)
        }
        if values.get("registered"):
            values.setdefault("thermal_hz", values.get("rgb_hz", cls.rgb_hz))
        for switch in ("registered", "still"):
            values[switch] = bool(values.get(switch, False))
        return cls(name, **values)

    @property
    def total(self) -> int:
        """Number of visible frames."""
        return max(1, round(self.seconds * self.rgb_hz))

    def rig(self) -> dict[str, Any]:
        """Return the calibration of the two cameras as the plain content of a rig file."""
        rig = self._rig
        return {
            "visible": _camera_info(rig.visible),
            "thermal": _camera_info(rig.thermal),
            "T_thermal_rgb": rig.thermal_from_visible.tolist(),
            "reference_depth_m": rig.reference_depth_m,
        }

    def frames(self) -> Iterator[Frame]:
        """Render both streams merged by stamp; every visible frame has its ground truth."""
        renderer = Renderer(self.seed, self._rig)
        phase = 0 if self.registered else _THERMAL_PHASE_NS
        visible = self._stamps("visible", self.rgb_hz, 0)
        thermal = self._stamps("thermal", self.thermal_hz, phase)
        for stamp, modality, index in heapq.merge(visible, thermal, key=lambda entry: entry[0]):
            yield self._frame(renderer, stamp, modality, index)

    @cached_property
    def _rig(self) -> StereoRig:
        return registered_rig() if self.registered else default_rig()

    def _stamps(
        self, modality: Modality, rate: float, phase_ns: int
    ) -> Iterator[tuple[int, Modality, int]]:
        """Iterate over (nanoseconds since the start, modality, number) of one stream."""
        for index in range(max(1, round(self.seconds * rate))):
            yield phase_ns + round(index * 1e9 / rate), modality, index

    def _frame(self, renderer: Renderer, since_ns: int, modality: Modality, index: int) -> Frame:
        """Render one frame."""
        seconds = 0.0 if self.still else since_ns / 1e9
        conditions = conditions_at(self.name, seconds, self.seconds)
        pose = platform_pose(seconds, self.seed)
        frame = Frame(START_NS + since_ns, modality, np.empty(0), "rgb8", sequence=index)
        if modality == "visible":
            camera = Camera(self._rig.visible, pose)
            stops = _STOPS[self.bracket][index % self.bracket]
            image, truth = renderer.visible(camera, seconds, conditions, index, stops)
            return replace(
                frame,
                image=image,
                frame_id="rgb_optical_frame",
                camera=self._rig.visible,
                truth=truth,
                exposure_s=_EXPOSURE_S * 2.0**stops,
            )
        camera = Camera(self._rig.thermal, self._rig.thermal_pose(pose))
        counts = renderer.thermal(camera, seconds, conditions, index)
        return replace(
            frame,
            image=counts,
            encoding="mono16",
            frame_id="thermal_optical_frame",
            camera=self._rig.thermal,
        )


def _number(url: str, key: str, text: str) -> float | int:
    """Return the checked value of one parameter."""
    if key not in _RANGES:
        known = ", ".join(_RANGES)
        raise UsageError(f"{url}: unknown parameter {key!r}; known parameters: {known}")
    low, high = _RANGES[key]
    try:
        value = int(text) if key in _WHOLE else float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        kind = "a whole number" if key in _WHOLE else "a number"
        raise UsageError(f"{url}: {key} = {text!r}: expected {kind} from {low:g} to {high:g}")
    return value


def _camera_info(model: CameraModel) -> dict[str, Any]:
    """Return the fields of a ROS camera-info file for one camera."""
    return {
        "image_width": model.width,
        "image_height": model.height,
        "distortion_model": model.distortion_model,
        "distortion_coefficients": {"rows": 1, "cols": len(model.d), "data": list(model.d)},
        "camera_matrix": {"rows": 3, "cols": 3, "data": list(model.k)},
    }
