"""Frozen values that travel between the modules.

Conventions, the same everywhere:

* stamps are capture times in integer nanoseconds; durations carry their unit in the name;
* colour images are ``HxWx3`` uint8 in **RGB** order; single-channel images are ``HxW``;
* pixel coordinates are ``(x, y)`` with ``(0, 0)`` at the *centre* of the top-left pixel;
* boxes are ``(x, y, width, height)`` in pixels, ``x, y`` the top-left corner, counted from the
  outer corner of the top-left pixel as in COCO: the pixel in column i and row j is the box
  ``(i, j, 1, 1)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Modality = Literal["visible", "thermal"]
Unit = Literal["counts", "celsius"]
UInt8Image = NDArray[np.uint8]
FloatImage = NDArray[np.float32]
Mask = NDArray[np.bool_]
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class CameraModel:
    """Intrinsics of one camera, with the meaning of ``sensor_msgs/CameraInfo``.

    Attributes:
        width: Image width in pixels.
        height: Image height in pixels.
        distortion_model: ``plumb_bob``, ``rational_polynomial`` or ``equidistant``.
        d: Distortion coefficients.
        k: 3x3 intrinsic matrix, row-major, in pixels.
        r: 3x3 rectification matrix, row-major; empty: the identity.
        p: 3x4 projection matrix of the rectified camera, row-major, in pixels; empty: ``k`` with a
            zero column.
    """

    width: int
    height: int
    distortion_model: str
    d: tuple[float, ...]
    k: tuple[float, ...]
    r: tuple[float, ...] = ()
    p: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class PixelGrid:
    """The camera on whose pixels an image lies.

    Attributes:
        frame_id: Its optical frame, empty when unknown.
        camera: Its intrinsics, None when unknown.
    """

    frame_id: str
    camera: CameraModel | None


@dataclass(frozen=True, slots=True)
class Radiometry:
    """Calibration of a thermal camera, and what its temperatures assume about the scene.

    Attributes:
        emissivity: Of the scene, in (0, 1].
        distance: To the object in metres.
        reflected: Apparent temperature that the scene reflects, in kelvin.
        air: Temperature of the air in kelvin.
        window: Temperature of a window before the camera in kelvin.
        window_transmission: Of that window, in (0, 1]; other values mean that there is none.
        humidity: Relative, in [0, 1], or in percent.
        planck: R1, B, F, O and R2.
        alpha: Two coefficients of the air's transmission.
        beta: Two coefficients of the transmission's dependence on water.
        x: Share of the first component of the air.
    """

    emissivity: float
    distance: float
    reflected: float
    air: float
    window: float
    window_transmission: float
    humidity: float
    planck: tuple[float, float, float, float, float]
    alpha: tuple[float, float]
    beta: tuple[float, float]
    x: float


@dataclass(frozen=True, slots=True)
class SceneTruth:
    """Ground truth of a synthetic frame.

    Attributes:
        boxes: ``(label, box)`` on the visible grid.
        mask: ``HxW`` uint8 label map on the visible grid: 0 background, 1 person, 2 vehicle.
        degradations: Kind -> severity in [0, 1] for the visible stream.
        homography: 3x3 map from visible pixels to thermal pixels (ground-plane free, far scene).
        identities: Of each box, the number of the object in the scene, the same in every frame.
    """

    boxes: tuple[tuple[str, Box], ...]
    mask: UInt8Image
    degradations: Mapping[str, float]
    homography: NDArray[np.float64]
    identities: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Frame:
    """One image of one camera.

    Attributes:
        stamp_ns: Capture time in nanoseconds.
        modality: ``visible`` or ``thermal``.
        image: Visible: ``HxWx3`` uint8 RGB. Thermal: ``HxW`` uint8, uint16 or float32 as the camera
            gave it, or ``HxWx3`` uint8 RGB when the camera sent a colour-mapped picture.
        encoding: ROS name of the layout of ``image``: ``rgb8``, ``mono8``, ``mono16``, ``32FC1``.
        frame_id: Optical frame of the camera, may be empty.
        sequence: Position in its stream as read, from 0.
        camera: Intrinsics, None when they are not known.
        name: Stem of the file the frame came from, empty for streams.
        truth: Ground truth, for synthetic scenes only.
        predicted: Decoded from a codec that predicts pictures from earlier ones, and so repeats
            a picture exactly where little changes.
        unit: What the values of a thermal image are: ``counts``, converted as the settings have it,
            or ``celsius``, converted by the source.
        from_visible: 3x3, ``thermal_pixel ~ from_visible @ visible_pixel``, of a thermal image
            whose camera also took the visible one and declares how both fit; else None.
        received_ns: When it was received, in nanoseconds of a clock that both streams share; None
            when unknown. Only differences between the streams count.
        exposure_s: Exposure time in seconds, None when it is not known.
        radiometry: What a thermal image in degrees Celsius was converted with, None when unknown.
        bracket: All exposures that it is merged with before it is fused, itself included, from
            dark to bright; empty for a frame that stands alone.
    """

    stamp_ns: int
    modality: Modality
    image: NDArray[Any]
    encoding: str
    frame_id: str = ""
    sequence: int = 0
    camera: CameraModel | None = None
    name: str = ""
    truth: SceneTruth | None = None
    predicted: bool = False
    unit: Unit = "counts"
    from_visible: NDArray[np.float64] | None = None
    received_ns: int | None = None
    exposure_s: float | None = None
    radiometry: Radiometry | None = None
    bracket: tuple[Frame, ...] = ()


@dataclass(frozen=True, slots=True)
class Drop:
    """One frame that is in no result.

    Attributes:
        stamp_ns: Capture time as the camera gave it, in nanoseconds; None when it is not known.
        modality: The frame's stream; of a pair that was dropped, the leading frame's.
        cause: Why, one word, such as ``no_partner``.
    """

    stamp_ns: int | None
    modality: Modality
    cause: str


@dataclass(frozen=True, slots=True)
class FramePair:
    """Two frames that show the same moment; at most one side is ``None``.

    Attributes:
        stamp_ns: Capture time of the leading frame after its stream's offset, in nanoseconds.
        visible: The visible frame, ``None`` when the stream is missing and the policy permits it.
        thermal: The thermal frame, ``None`` likewise.
        skew_ns: Thermal minus visible stamp after offsets, ``None`` when one side is missing.
        reused: The slower stream's frame was already part of an earlier pair.
        lead: The stream whose frame gave the pair its stamp: the master stream, or its partner
            while the master is silent.
        health: Conditions to report: ``thermal_missing``, ``thermal_held``,
            ``visible_missing``, ``visible_held``, ``time_jump``.
    """

    stamp_ns: int
    visible: Frame | None
    thermal: Frame | None
    skew_ns: int | None
    reused: bool = False
    lead: Modality = "visible"
    health: tuple[str, ...] = ()

    @property
    def lead_frame(self) -> Frame:
        """The frame that gave the pair its stamp, with its own stamp and camera frame.

        Raises:
            ValueError: The pair holds no frame.
        """
        leading, other = self.visible, self.thermal
        if self.lead == "thermal":
            leading, other = other, leading
        frame = leading if leading is not None else other
        if frame is None:
            raise ValueError("a pair without frames has no leading frame; give it one")
        return frame


@dataclass(frozen=True, slots=True)
class ThermalImage:
    """A thermal frame made comparable across cameras.

    Attributes:
        luminance: ``HxW`` float32 in [0, 1], hot is bright.
        temperature: ``HxW`` float32 in degrees Celsius, None when not radiometric.
        health: Conditions: ``thermal_frozen`` (closed shutter), ``thermal_colour_mapped``.
        from_visible: As in the ``Frame``.
        radiometry: As in the ``Frame``.
    """

    luminance: FloatImage
    temperature: FloatImage | None
    health: tuple[str, ...] = ()
    from_visible: NDArray[np.float64] | None = None
    radiometry: Radiometry | None = None


Signature = tuple[NDArray[np.float32] | None, ...]


@dataclass(frozen=True, slots=True)
class AlignedPair:
    """Both images on the visible camera's pixel grid.

    Attributes:
        stamp_ns: Capture time in nanoseconds.
        visible: ``HxWx3`` uint8 RGB, or None when missing.
        thermal: ``HxW`` float32 in [0, 1], 0 where not ``valid``, or None when missing.
        valid: ``HxW`` bool, True where the thermal camera sees the pixel.
        temperature: ``HxW`` float32 in degrees Celsius or None.
        confidence: Confidence of the registration in [0, 1].
        residual_px: Estimated remaining misalignment in pixels, None when not measured.
        grid: The camera on whose pixels both images lie, with the rig's intrinsics where the frame
            has none; None: that of the pair's visible frame, or of its thermal frame where there
            is no visible one.
        signature: Cumulated histograms of what the cameras gave, see
            :func:`fusion_core.priors.signature_of`; empty where nobody has found them yet.
    """

    stamp_ns: int
    visible: UInt8Image | None
    thermal: FloatImage | None
    valid: Mask
    temperature: FloatImage | None = None
    confidence: float = 1.0
    residual_px: float | None = None
    grid: PixelGrid | None = None
    signature: Signature = ()


@dataclass(frozen=True, slots=True)
class ScenePrior:
    """A prior provider's assessment of a scene.

    Attributes:
        scene_id: Number of the scene since the start, from 0.
        stamp_ns: Capture time of the pair it was computed on, in nanoseconds.
        provider: Name of the provider.
        visible: Degradation kind -> probability in [0, 1] for the visible image.
        thermal: The same for the thermal image.
        tokens: ``SxC`` float32 semantic tokens.
        quality: Quality of the scene's pictures in [0, 1].
        disputed: Modality and kind that a second provider sees otherwise, as ``visible rain``.
    """

    scene_id: int
    stamp_ns: int
    provider: str
    visible: Mapping[str, float]
    thermal: Mapping[str, float]
    tokens: FloatImage
    quality: float
    disputed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ObjectHeat:
    """Temperatures of an object's own pixels, apart from its surroundings in the box.

    Attributes:
        mean: Mean in degrees Celsius.
        maximum: Highest.
        percentile: The percentile of `temperature.percentile`.
        pixels: Number of pixels that were taken for the object's own.
    """

    mean: float
    maximum: float
    percentile: float
    pixels: int


@dataclass(frozen=True, slots=True)
class Alarm:
    """An object whose temperature has crossed a limit.

    Attributes:
        kind: ``above`` or ``below`` the limit.
        track_id: The object.
        label: Its class.
        temperature: What was compared with the limit, in degrees Celsius.
        limit: The limit in degrees Celsius.
        since_ns: Capture time from which on it was crossed, in nanoseconds.
    """

    kind: Literal["above", "below"]
    track_id: int
    label: str
    temperature: float
    limit: float
    since_ns: int


@dataclass(frozen=True, slots=True)
class Detection:
    """One object.

    Attributes:
        label: Class name.
        score: Confidence in [0, 1].
        box: ``(x, y, width, height)`` in pixels of the fused image.
        track_id: Identity across frames, None when not tracked.
        temperature: Mean temperature of the object's own pixels in degrees Celsius, None when
            unknown.
        predicted: The box is where the object's motion leads; the detector has not looked at this
            picture. Its score is that of the last one seen.
        heat: More about its temperature, None when unknown.
    """

    label: str
    score: float
    box: Box
    track_id: int | None = None
    temperature: float | None = None
    predicted: bool = False
    heat: ObjectHeat | None = None


@dataclass(frozen=True, slots=True)
class Recalled:
    """What of a picture is shown from memory, as the cameras do not see it now.

    Attributes:
        weight: ``HxW`` uint8, 0: as seen now, 255: from memory.
        share: Mean of the weight, in [0, 1].
        age_s: Mean age of what is shown from memory, in seconds.
    """

    weight: UInt8Image
    share: float
    age_s: float


@dataclass(frozen=True, slots=True)
class FusedFrame:
    """One result.

    Attributes:
        frame: Number of the result since the start, from 0.
        stamp_ns: Capture time in nanoseconds.
        image: ``HxWx3`` uint8 RGB on the visible camera's grid.
        pair: The pair it was made of.
        aligned: The aligned pair, as the cameras saw it.
        detections: Objects found, empty without a detector.
        detected_ns: Capture time of the pair that the detector saw them in, in nanoseconds: this
            one's, or an earlier one's where they are predicted; None while it has seen none.
        prior: The scene prior in force, None without a provider.
        timings: Stage -> milliseconds.
        drops: Frames dropped so far, by cause.
        recent_drops: Frames dropped since the result before, oldest first; a bounded list.
        unlisted_drops: Frames dropped since the result before that the list had no room for.
        health: Conditions that held for this frame, empty when all is well.
        quality: No-reference quality score of the fused image in [0, 1], None when no model ran.
        memory_slot: Slot of the memory bank this frame updated, None when none was.
        model: With model ``auto`` the network that the prior picked, else empty.
        recalled: What the picture shows from memory, None where it shows the present alone.
        alarms: Temperature alarms that are on, oldest first.
        shares: ``2xhxw`` float32 shares of the visible and the thermal picture, coarser than the
            image, None where the network has none.
        text: The text in force, empty where nothing is said; None for a network that reads none.
    """

    frame: int
    stamp_ns: int
    image: UInt8Image
    pair: FramePair
    aligned: AlignedPair
    detections: tuple[Detection, ...] = ()
    detected_ns: int | None = None
    prior: ScenePrior | None = None
    timings: Mapping[str, float] = field(default_factory=dict)
    drops: Mapping[str, int] = field(default_factory=dict)
    recent_drops: tuple[Drop, ...] = ()
    unlisted_drops: int = 0
    health: tuple[str, ...] = ()
    quality: float | None = None
    memory_slot: int | None = None
    model: str = ""
    recalled: Recalled | None = None
    alarms: tuple[Alarm, ...] = ()
    shares: FloatImage | None = None
    text: str | None = None

    @property
    def skew_ns(self) -> int | None:
        """Thermal minus visible stamp in nanoseconds."""
        return self.pair.skew_ns
