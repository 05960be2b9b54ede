"""From a thermal camera's counts to comparable luminance and temperature."""

from __future__ import annotations

import logging
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fusion_core.thermal.crop import crop_frame
from fusion_core.thermal.decode import read_counts
from fusion_core.thermal.gain import GainControl
from fusion_core.thermal.pixels import DeadPixels, Destriper, fill_unknown
from fusion_core.thermal.settings import ThermalConfig
from fusion_core.thermal.shutter import ShutterDetector
from fusion_core.types import FloatImage, Frame, ThermalImage, Unit

_LOG = logging.getLogger(__name__)
_ZERO_CELSIUS_K: Final = 273.15
_PERCENTILES: Final = (1.0, 99.5)  # of the counts: those shown black and white
_LEAST_SPAN_K: Final = 2.0  # a radiometric scene below this contrast is shown as flat
_LEAST_COUNTS: Final = {1: 16.0, 2: 64.0}  # by bytes per pixel: some ten times the sensor's noise
_FULL: Final = 255
_NAN: Final = np.float32(np.nan)
_HALF_RANGE: Final = 0.5
_LEAST_SHARE: Final = 2e-3  # of the value itself, for float images of unknown unit


class ThermalProcessor:
    """Turns the frames of one thermal stream into ``ThermalImage``.

    Stages of every frame: crop, closed-shutter detection, dead pixels, temperature, column stripes,
    polarity, gain control. Pixels of float images that are NaN or infinite affect no other pixel:
    their luminance is 0, that of positive infinity 1, and their temperature NaN. A frame given
    twice in a row, as when a slower stream is reused, gives the same result again and counts once.
    A new resolution or encoding starts afresh. Without gain control 8-bit counts are divided by
    255, 16-bit ones by 65535, and float ones are clipped to [0, 1].

    Not thread-safe: one stream, one thread. Frames are kept for comparison with the next one and
    must not be written to afterwards.
    """

    def __init__(self, config: ThermalConfig) -> None:
        """Start without a scene."""
        self._config = config
        self._gain = GainControl(
            *_PERCENTILES,
            config.smoothing_s,
            config.midtone,
            plateau=config.agc == "plateau",
        )
        self._pixels = DeadPixels()
        self._stripes = Destriper()
        self._shutter = ShutterDetector(config.freeze_frames)
        self._layout: tuple[str, tuple[int, ...]] | None = None
        self._unit: Unit = "counts"
        self._last: tuple[Frame, ThermalImage] | None = None
        self._warned = False
        self._stretching = False

    def stretch(self) -> None:
        """Enable the gain control for 8-bit pictures that turned out to be flat.

        With gain control `auto` those are taken as they come. From here on, until the sensor
        changes, the limits close in on the scene in the time constant of the gain control, unless
        the picture already fills more than half of the range.
        """
        if self._stretching or self._last is None or self._config.agc != "auto":
            return
        frame = self._last[0]
        if frame.image.dtype != np.uint8:
            return
        low, high = np.percentile(crop_frame(frame, self._config.crop).image[::8, ::8], (1, 99))
        if high - low < _FULL * _HALF_RANGE:
            self._gain.start(0.0, float(_FULL), frame.stamp_ns)
            self._stretching = True

    def process(self, frame: Frame) -> ThermalImage:
        """Return luminance in [0, 1] and, for radiometric cameras, degrees Celsius.

        Raises:
            EncodingError: The encoding is unknown, the array does not have its layout, or the
                setting ``crop`` lies outside of it.
        """
        if self._last is not None and self._last[0] is frame:
            return self._last[1]
        counts = read_counts(crop_frame(frame, self._config.crop))
        layout = (frame.encoding, counts.image.shape)
        if layout != self._layout or frame.unit != self._unit:
            self._restart(layout)
            self._unit = frame.unit
        health: tuple[str, ...] = ()
        if counts.colour_mapped:
            health += ("thermal_colour_mapped",)
            self._warn_once()
        # A video codec repeats pictures of a still scene exactly: that is no closed shutter.
        frozen = not frame.predicted and self._shutter.closed(counts.image, frame.stamp_ns)
        if frozen:
            health += ("thermal_frozen",)
        image, unknown = fill_unknown(counts.image)
        if self._config.dead_pixels and not counts.colour_mapped:
            image = self._pixels.repair(image, unknown)
        temperature = None if counts.colour_mapped else self._temperature(image)
        if self._config.destripe:
            image = self._stripes.clean(image.astype(np.float32, copy=False))
        if unknown is not None:
            image = np.where(unknown, counts.image, image)
            temperature = None if temperature is None else np.where(unknown, _NAN, temperature)
        if self._config.polarity == "black_hot":
            image = _inverted(image, counts.image.dtype)
        luminance = self._luminance(image, counts.image.dtype, frame.stamp_ns, hold=frozen)
        result = ThermalImage(luminance, temperature, health, frame.from_visible, frame.radiometry)
        self._last = (frame, result)
        return result

    def _restart(self, layout: tuple[str, tuple[int, ...]]) -> None:
        """Forget the sensor and the scene."""
        for part in (self._gain, self._pixels, self._stripes, self._shutter):
            part.reset()
        self._layout = layout
        self._stretching = False

    def _temperature(self, image: NDArray[Any]) -> FloatImage | None:
        """Return degrees Celsius, None when the camera is not radiometric."""
        if self._unit == "celsius":
            return image.astype(np.float32)
        config = self._config
        if config.unit == "none":
            return None
        zero = config.offset - (_ZERO_CELSIUS_K if config.unit == "kelvin" else 0.0)
        celsius: FloatImage = np.multiply(image, config.scale, dtype=np.float32)
        celsius += np.float32(zero)
        return celsius

    def _luminance(
        self, image: NDArray[Any], depth: np.dtype[Any], stamp_ns: int, *, hold: bool
    ) -> FloatImage:
        """Return ``HxW`` float32 in [0, 1]; ``depth`` is the type the camera sent."""
        agc = self._config.agc
        plain_8_bit = agc == "auto" and depth == np.uint8 and not self._stretching
        if agc == "off" or plain_8_bit:
            full = np.iinfo(depth).max if depth.kind == "u" else 1
            plain: FloatImage = np.multiply(image, np.float32(1 / full), dtype=np.float32)
            if image.dtype.kind == "f":
                plain = np.clip(np.nan_to_num(plain, copy=False), 0, 1)
            return plain
        return self._gain.apply(image, stamp_ns, self._least_span(image, depth), hold=hold)

    def _least_span(self, image: NDArray[Any], depth: np.dtype[Any]) -> float:
        """Return the smallest range of counts that is worth being spread over [0, 1]."""
        if self._unit == "celsius":
            return _LEAST_SPAN_K
        if self._config.unit != "none":
            return _LEAST_SPAN_K / self._config.scale
        if depth.kind == "u":
            return _LEAST_COUNTS[depth.itemsize]
        middle = image[image.shape[0] // 2 :: 64, ::16]
        middle = middle[np.isfinite(middle)]
        return max(1e-6, _LEAST_SHARE * float(np.abs(middle).max(initial=0.0)))

    def _warn_once(self) -> None:
        """Log once that false colours carry no temperature."""
        if not self._warned:
            self._warned = True
            _LOG.warning(
                "thermal stream is colour-mapped: its luma is used, which does not grow with "
                "temperature in every palette; let the camera send mono16 or mono8"
            )


def _inverted(image: NDArray[Any], depth: np.dtype[Any]) -> NDArray[Any]:
    """Return counts that grow with heat of counts that fall with it."""
    full = np.iinfo(depth).max if depth.kind == "u" else 1
    inverted: NDArray[Any] = image.dtype.type(full) - image
    return inverted
