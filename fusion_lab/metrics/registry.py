"""Every image metric by the name it is reported under."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from fusion_core.errors import UsageError
from fusion_core.types import UInt8Image
from fusion_lab.metrics import (
    edges,
    exposure,
    features,
    fidelity,
    information,
    perception,
    statistics,
    structural,
)
from fusion_lab.metrics.fidelity import psnr_to
from fusion_lab.metrics.images import check_same_grid
from fusion_lab.metrics.structural import ms_ssim_to, ssim_to

Sources = tuple[UInt8Image, UInt8Image]
_OfSources = Callable[[UInt8Image, UInt8Image, UInt8Image], float]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: Name in tables and JSON.
        better: Which direction is better.
        definition: The definition followed, in one line.
        compute: ``(fused, first source, second source)``, or ``(fused, target)`` with
            ``needs_target``, all ``HxW`` uint8, to the value.
        needs_target: It compares with what fusion should have given, not with the sources.
    """

    name: str
    better: Literal["higher", "lower"]
    definition: str
    compute: Callable[..., float]
    needs_target: bool = False


def _alone(function: Callable[[UInt8Image], float]) -> _OfSources:
    return lambda fused, _first, _second: function(fused)


_OF_SOURCES: tuple[tuple[str, Literal["higher", "lower"], _OfSources, str], ...] = (
    ("EN", "higher", _alone(information.entropy), "entropy in bits, 256 bins"),
    ("SD", "higher", _alone(statistics.standard_deviation), "population standard deviation"),
    ("SF", "higher", _alone(statistics.spatial_frequency), "Eskicioglu & Fisher 1995"),
    ("AG", "higher", _alone(statistics.average_gradient), "central differences, / sqrt 2"),
    ("MI", "higher", information.mutual_information, "sum over sources, nats, no stretch"),
    ("SCD", "higher", fidelity.sum_of_correlations_of_differences, "Aslantas & Bendes 2015"),
    ("VIF", "higher", fidelity.visual_information, "Sheikh & Bovik 2006, pixel domain, sum"),
    ("Qabf", "higher", edges.edge_preservation, "Xydeas & Petrovic 2000"),
    ("SSIM", "higher", structural.ssim_sum, "Wang et al. 2004, 11x11, L 255, sum"),
    ("NABF", "lower", edges.artefact_share, "Kumar 2013"),
    ("EI", "higher", _alone(statistics.edge_intensity), "mean Sobel magnitude"),
    ("MI_bits", "higher", information.mutual_information_bits, "MI in bits"),
    ("MI_stretched", "higher", information.mutual_information_stretched, "VIFB: min-max first"),
    ("CE", "lower", information.cross_entropy, "VIFB: mean over sources, bits"),
    ("NMI", "higher", information.normalized_mutual_information, "Hossny et al. 2008"),
    ("NCIE", "higher", information.nonlinear_correlation_entropy, "Wang, Shen & Jin 2005"),
    ("SSIM_r2", "higher", structural.ssim_sum_range2, "7x7 uniform, data range 2, sum"),
    ("MS_SSIM", "higher", structural.ms_ssim, "Wang et al. 2003, mean over sources"),
    ("MEF_SSIM", "higher", structural.mef_ssim, "Ma et al. 2015 and 2019, one scale"),
    ("MEF_SSIM_2015", "higher", exposure.mef_ssim_structure, "Ma et al. 2015, one scale"),
    ("MSE", "lower", fidelity.mean_squared_error, "on [0, 1], mean over sources"),
    ("PSNR", "higher", fidelity.psnr, "10 log10(255^2 / MSE)"),
    ("PSNR_255_on_unit", "higher", fidelity.psnr_peak_255_on_unit, "peak 255, MSE on [0, 1]"),
    ("PSNR_vifb", "higher", fidelity.psnr_vifb, "VIFB: RMSE_vifb in the place of MSE"),
    ("PSNR_peak_fused", "higher", fidelity.psnr_peak_of_fused, "peak: brightest fused value"),
    ("RMSE_vifb", "lower", fidelity.rmse_vifb, "VIFB: root of the summed squares / (H W)"),
    ("Qcb", "higher", perception.chen_blum, "Chen & Blum 2009"),
    ("Qcv", "lower", perception.chen_varshney, "Chen & Varshney 2007, VIFB constants"),
    (
        "FMI",
        "higher",
        features.feature_mutual_information,
        "Haghighat & Razian 2014, pixels, 3x3",
    ),
    ("SD_u8", "higher", _alone(statistics.standard_deviation_u8), "SD, saturating 8-bit"),
    ("SF_u8", "higher", _alone(statistics.spatial_frequency_u8), "SF, saturating 8-bit"),
    (
        "SF_u8_vertical",
        "higher",
        _alone(statistics.spatial_frequency_u8_vertical),
        "SF, saturating 8-bit, vertical steps alone",
    ),
    ("VIF_u8", "higher", fidelity.visual_information_u8, "VIF, saturating 8-bit"),
)

_TARGET_METRICS: tuple[Metric, ...] = (
    Metric("PSNR_target", "higher", "10 log10(255^2 / MSE) to the target", psnr_to, True),
    Metric("SSIM_target", "higher", "Wang et al. 2004, to the target", ssim_to, True),
    Metric("MS_SSIM_target", "higher", "Wang et al. 2003, to the target", ms_ssim_to, True),
)

METRICS: Mapping[str, Metric] = MappingProxyType(
    {name: Metric(name, better, text, compute) for name, better, compute, text in _OF_SOURCES}
    | {metric.name: metric for metric in _TARGET_METRICS}
)

TARGET_METRICS: tuple[str, ...] = tuple(metric.name for metric in _TARGET_METRICS)
"""The metrics that compare with a target."""

HEADLINE: tuple[str, ...] = ("EN", "SD", "SF", "AG", "MI", "SCD", "VIF", "Qabf", "SSIM")
"""The nine metrics that fusion papers report together, and that mean ranks are taken over."""


def select_metrics(names: Iterable[str] | None = None) -> tuple[Metric, ...]:
    """Return the metrics of these names, all of them without names.

    Raises:
        UsageError: A name is unknown.
    """
    wanted = tuple(METRICS if names is None else names)
    unknown = [name for name in wanted if name not in METRICS]
    if unknown:
        raise UsageError(f"unknown metric {unknown[0]!r}; known: {', '.join(METRICS)}")
    return tuple(METRICS[name] for name in wanted)


def compute_all(
    fused: UInt8Image,
    sources: Sources,
    names: Iterable[str] | None = None,
    target: UInt8Image | None = None,
) -> dict[str, float]:
    """Return each metric's value for one fused image.

    Args:
        fused: ``HxW`` uint8 gray, 0..255; see ``to_gray``.
        sources: The two sources, same size and type.
        names: Metrics to compute; None for all that can be computed.
        target: What fusion should have given, same size and type; None without.

    Returns:
        Name -> value; nan where a metric is undefined, e.g. SCD of a constant source.

    Raises:
        EncodingError: The images are not 8-bit gray of one size.
        UsageError: A name is unknown, or needs a target and there is none.
    """
    metrics = select_metrics(names)
    if names is None and target is None:
        metrics = tuple(metric for metric in metrics if not metric.needs_target)
    images = {"fused": fused, "first source": sources[0], "second source": sources[1]}
    check_same_grid(images if target is None else {**images, "target": target})
    return {metric.name: _value(metric, fused, sources, target) for metric in metrics}


def _value(metric: Metric, fused: UInt8Image, sources: Sources, target: UInt8Image | None) -> float:
    if not metric.needs_target:
        return metric.compute(fused, *sources)
    if target is None:
        raise UsageError(
            f"metric {metric.name!r} needs a target; give data with gt/, or leave it out"
        )
    return metric.compute(fused, target)
