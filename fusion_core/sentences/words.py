"""Words for what can be wished for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fusion_core.sentences.wish import PLAIN, SLIGHT, STRONG

Words = Mapping[str, tuple[str, ...]]

NOUNS: Final[Words] = {
    "haze": ("haze", "fog", "mist", "murk"),
    "rain": ("rain", "rain streaks", "drizzle", "raindrops"),
    "snow": ("snow", "snowflakes", "falling snow", "flakes"),
    "low_light": ("darkness", "low light", "underexposure", "poor light", "gloom"),
    "over_exposure": ("overexposure", "glare", "blown highlights", "dazzle"),
    "noise": ("noise", "grain", "speckle", "sensor noise"),
    "gaussian_blur": ("blur", "blurriness", "softness", "unsharpness"),
    "motion_blur": ("motion blur", "camera shake", "shake"),
    "downsampling": ("low resolution", "pixelation", "coarse pixels"),
    "jpeg": ("compression artifacts", "jpeg artifacts", "compression", "block artifacts"),
    "low_contrast": ("low contrast", "poor contrast", "flatness", "dullness"),
    "stripes": ("stripes", "banding", "fixed pattern", "lines"),
    "defocus": ("defocus", "wrong focus", "out of focus blur"),
    "smoke": ("smoke", "fumes", "smoke clouds"),
}
"""What degrades a picture."""

ADJECTIVES: Final[Words] = {
    "haze": ("hazy", "foggy", "misty"),
    "rain": ("rainy",),
    "snow": ("snowy",),
    "low_light": ("dark", "too dark", "underexposed"),
    "over_exposure": ("overexposed", "too bright"),
    "noise": ("noisy", "grainy"),
    "gaussian_blur": ("blurry", "soft", "blurred"),
    "motion_blur": ("shaky",),
    "downsampling": ("pixelated", "coarse"),
    "jpeg": ("compressed",),
    "low_contrast": ("flat", "dull", "washed out"),
    "stripes": ("striped", "stripy"),
    "defocus": ("defocused", "out of focus"),
    "smoke": ("smoky",),
}
"""How a degraded picture is."""

VERBS: Final[Words] = {
    "haze": ("dehaze", "defog"),
    "rain": ("derain",),
    "snow": ("desnow",),
    "noise": ("denoise",),
    "gaussian_blur": ("deblur",),
    "stripes": ("destripe",),
}
"""Verbs that say all."""

TARGETS: Final[Words] = {
    "people": ("people", "persons", "pedestrians", "humans", "anyone", "everybody"),
    "vehicles": ("vehicles", "cars", "trucks", "traffic", "anything that drives"),
    "hot": ("what is hot", "hot things", "heat", "heat sources", "warm objects", "hot spots"),
}
"""What shall stand out."""

STYLE_ADJECTIVES: Final[Words] = {
    "bright": ("brighter", "lighter"),
    "dark": ("darker", "dimmer"),
    "contrast": ("more contrasty", "punchier"),
    "sharp": ("sharper", "crisper", "more detailed"),
    "colour": ("more colourful", "more vivid", "more saturated"),
    "natural": ("more natural", "more realistic"),
}
STYLE_NOUNS: Final[Words] = {
    "bright": ("brightness", "light"),
    "contrast": ("contrast",),
    "sharp": ("detail", "sharpness", "texture"),
    "colour": ("colour", "saturation"),
}
"""How the picture shall look."""

TASK_TRAINED: Final[Words] = {
    "vif": (
        "fuse both cameras",
        "fuse the thermal and the visible picture",
        "combine infrared and colour",
        "merge the thermal picture with the colour picture",
        "combine the thermal and the visible camera",
    ),
    "mef": (
        "merge the exposures",
        "combine all exposures",
        "fuse the exposure bracket",
        "make an hdr picture",
    ),
    "mff": (
        "merge the focus settings",
        "combine the focus settings",
        "stack the focus",
        "show everything in focus",
    ),
}
TASK_HELD_OUT: Final[Words] = {
    "vif": ("merge infrared and visible",),
    "mef": ("fuse all exposures",),
    "mff": ("fuse the focus settings",),
}
"""What to fuse."""

ADVERBS_BEFORE: Final[Mapping[float, tuple[str, ...]]] = {
    SLIGHT: ("slightly", "gently", "mildly"),
    PLAIN: ("",),
    STRONG: ("strongly", "completely", "entirely", "fully"),
}
ADVERBS_AFTER: Final[Mapping[float, tuple[str, ...]]] = {
    SLIGHT: ("slightly", "gently", "a little", "a bit"),
    PLAIN: ("",),
    STRONG: ("strongly", "completely", "entirely", "a lot", "as much as possible"),
}
COMPARED: Final[Mapping[float, tuple[str, ...]]] = {
    SLIGHT: ("slightly", "a little", "a bit"),
    PLAIN: ("",),
    STRONG: ("much", "a lot", "far"),
}
"""How strongly."""

SPELLINGS: Final[Mapping[str, str]] = {
    "color": "colour",
    "colors": "colour",
    "colours": "colour",
    "colorful": "colourful",
    "emphasize": "emphasise",
    "artefacts": "artifacts",
    "image": "picture",
    "images": "pictures",
    "person": "persons",
    "pedestrian": "pedestrians",
    "human": "humans",
    "everyone": "everybody",
    "vehicle": "vehicles",
    "car": "cars",
    "truck": "trucks",
    "details": "detail",
    "removing": "remove",
    "removed": "remove",
    "line": "lines",
    "stripe": "stripes",
    "pixel": "pixels",
    "dont": "do not",
    "cannot": "can not",
}
"""Other spellings and forms of known words."""
