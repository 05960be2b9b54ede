"""Weather and light over the length of a scene."""

from __future__ import annotations

from dataclasses import dataclass, fields

_CHANGE_S = 0.7
SCENES = {
    "street": ("day", "night", "smoke", "haze", "glare"),
    "day": ("day",),
    "night": ("night",),
    "smoke": ("smoke",),
    "haze": ("haze",),
    "glare": ("glare",),
    "rain": ("rain",),
    "snow": ("snow",),
    "tunnel": ("tunnel",),
}
_LABELS = {
    "night": "low_light",
    "smoke": "smoke",
    "haze": "haze",
    "glare": "over_exposure",
    "rain": "rain",
    "snow": "snow",
    "tunnel": "over_exposure",
}


@dataclass(frozen=True, slots=True)
class Conditions:
    """Strength of each condition in [0, 1]; all zero is a clear day."""

    night: float = 0.0
    smoke: float = 0.0
    haze: float = 0.0
    glare: float = 0.0
    rain: float = 0.0
    snow: float = 0.0
    tunnel: float = 0.0

    @property
    def sun(self) -> float:
        """Share of direct sunlight, which casts shadows."""
        blocked = (1 - self.night) * (1 - 0.75 * self.smoke) * (1 - 0.85 * self.haze)
        return blocked * (1 - 0.95 * self.rain) * (1 - 0.95 * self.snow)

    @property
    def air(self) -> float:
        """Air temperature in degrees Celsius."""
        return 17.0 - 8.0 * self.night - 4.0 * self.rain - 18.0 * self.snow

    @property
    def warming(self) -> float:
        """How far sun-warmed surfaces stand above the air, relative to a clear day."""
        return (
            (1 - 0.55 * self.night)
            * (1 - 0.35 * self.haze)
            * (1 - 0.65 * max(self.rain, self.snow))
        )

    @property
    def clear_sky(self) -> float:
        """How cold the sky looks to a thermal camera, relative to a cloudless one."""
        return 1 - 0.75 * max(self.haze, self.rain, self.snow, 0.5 * self.smoke)

    def labels(self) -> dict[str, float]:
        """Return degradation kind -> severity for the visible stream, at least ``clean``."""
        found = {
            label: round(float(getattr(self, name)), 4)
            for name, label in _LABELS.items()
            if getattr(self, name) > 0.02
        }
        return found or {"clean": 1.0}


def conditions_at(scene: str, seconds: float, length: float) -> Conditions:
    """Return the conditions at a moment of a scene; episodes share its length and cross-fade.

    Args:
        scene: Key of ``SCENES``.
        seconds: Time since the start.
        length: Length of the scene in seconds.
    """
    episodes = SCENES[scene]
    share = length / len(episodes)
    change = min(_CHANGE_S, 0.3 * share)
    strength = dict.fromkeys((field.name for field in fields(Conditions)), 0.0)
    place = min(seconds, length - 1e-9)
    for number, name in enumerate(episodes):
        if name == "day":
            continue
        rise = 1.0 if number == 0 else _smooth((place - number * share) / change + 0.5)
        last = number == len(episodes) - 1
        fall = 1.0 if last else _smooth(((number + 1) * share - place) / change + 0.5)
        strength[name] = rise * fall
    return Conditions(**strength)


def _smooth(share: float) -> float:
    """Return 0 below 0, 1 above 1 and a smooth step between."""
    inside = min(max(share, 0.0), 1.0)
    return inside * inside * (3 - 2 * inside)
