"""Sentences for language-image models: degradations and quality."""

from __future__ import annotations

from fusion_core.types import Modality

# Kind -> sentences that hold when it is there, and sentences that hold when it is not.
Contrast = tuple[tuple[str, ...], tuple[str, ...]]

_SHARED: dict[str, Contrast] = {
    "noise": (
        ("a grainy {picture} full of random noise", "a noisy {picture}"),
        ("a smooth {picture} without noise", "a noise-free {picture}"),
    ),
    "gaussian_blur": (
        ("a blurry {picture}", "a {picture} with soft, smeared details"),
        ("a sharp {picture}", "a {picture} with crisp details"),
    ),
    "motion_blur": (
        ("a {picture} with motion blur from a shaking camera", "a {picture} smeared by movement"),
        ("a {picture} from a steady camera", "a sharp {picture}"),
    ),
    "downsampling": (
        ("a low-resolution, pixelated {picture}", "an enlarged thumbnail"),
        ("a high-resolution {picture}", "a detailed {picture}"),
    ),
    "jpeg": (
        ("a {picture} with JPEG compression artifacts", "a blocky, over-compressed {picture}"),
        ("an uncompressed {picture}", "a {picture} without compression artifacts"),
    ),
    "low_contrast": (
        ("a flat {picture} with low contrast", "a dull, washed-out {picture}"),
        ("a {picture} with good contrast", "a vivid {picture}"),
    ),
    "defocus": (
        ("an out-of-focus {picture}", "a defocused {picture}"),
        ("a {picture} in focus", "a well-focused {picture}"),
    ),
}
_VISIBLE: dict[str, Contrast] = {
    "clean": (
        ("a clean, clear photo in good light", "a sharp photo on a clear day"),
        ("a degraded photo", "a photo in bad weather or bad light"),
    ),
    "haze": (
        ("a photo of a hazy scene", "a photo taken in fog"),
        ("a photo in clear air", "a photo with clear visibility"),
    ),
    "rain": (
        ("a photo of falling rain", "rain streaks in front of the camera"),
        ("a photo in dry weather", "a photo without rain"),
    ),
    "snow": (
        ("a photo of falling snow", "snowflakes in front of the camera"),
        ("a photo without snowfall", "a photo in clear weather"),
    ),
    "low_light": (
        ("a dark photo taken at night", "an underexposed photo"),
        ("a bright photo taken by day", "a well-lit photo"),
    ),
    "over_exposure": (
        ("an overexposed photo", "a photo with blown-out highlights"),
        ("a well-exposed photo", "a photo with balanced exposure"),
    ),
    "smoke": (
        ("a photo of thick smoke", "clouds of smoke hide the scene"),
        ("a photo without smoke", "a photo with clear visibility"),
    ),
}
_THERMAL: dict[str, Contrast] = {
    "clean": (
        ("a clean, sharp thermal infrared image",),
        ("a degraded thermal infrared image",),
    ),
    "stripes": (
        ("a thermal infrared image with vertical stripes", "fixed-pattern stripe noise"),
        ("a thermal infrared image without stripes", "a uniform thermal infrared image"),
    ),
}

# M2PN's quality score. The paper's negative list repeats two positive sentences, which would pull
# both means together and the score to one half; only what is negative is kept.
GOOD = (
    "a high-quality image",
    "a clear image with rich details",
    "a natural image with good contrast",
)
BAD = ("a low-quality image", "an unclear image", "a distorted image")

# Wordings of one question; MdaIF does not state its own.
QUESTIONS = (
    "What is the weather or visibility condition of this image?",
    "What degrades the visibility in this image?",
    "How is the weather in this picture?",
    "Is the view clear, and if not, why?",
    "Describe the weather, the light and the quality of this image.",
)
IS_GOOD = "Is this a clear image of good quality?"

_QUESTION_OF = {
    "clean": "Is this image free of any degradation?",
    "haze": "Is there haze or fog in this image?",
    "rain": "Is it raining in this image?",
    "snow": "Is it snowing in this image?",
    "low_light": "Was this image taken in the dark?",
    "over_exposure": "Is this image overexposed?",
    "noise": "Is this image noisy?",
    "gaussian_blur": "Is this image blurry?",
    "motion_blur": "Is there motion blur in this image?",
    "downsampling": "Is this image of low resolution?",
    "jpeg": "Are there compression artifacts in this image?",
    "low_contrast": "Is the contrast of this image low?",
    "stripes": "Are there stripes of noise in this image?",
    "defocus": "Is this image out of focus?",
    "smoke": "Is there smoke in this image?",
}


def contrast(kind: str, modality: Modality) -> Contrast:
    """Return the sentences for and against a kind of degradation."""
    own = _VISIBLE if modality == "visible" else _THERMAL
    picture = "photo" if modality == "visible" else "thermal infrared image"
    good, bad = own.get(kind) or _SHARED[kind]
    return (
        tuple(sentence.format(picture=picture) for sentence in good),
        tuple(sentence.format(picture=picture) for sentence in bad),
    )


def question(kind: str) -> str:
    """Return the question whose answer is yes when a picture shows this kind."""
    return _QUESTION_OF[kind]
