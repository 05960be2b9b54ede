"""Every image metric by the name it is reported under."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from fusion_core.errors import UsageError
from fusion_core.types import UInt8Image
from fusion_lab.metrics import edges, fidelity, information, perception, statistics, structural
from fusion_lab.metrics.images import check_same_grid

Triple = Callable[[UInt8Image, UInt8Image, UInt8Image], float]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: Name in tables and JSON.
        better: Which direction is better.
        definition: The definition followed, in one line.
        compute: ``(fused, thermal, visible)``, all ``HxW`` uint8, to the value.
    """

    name: str
    better: Literal["higher", "lower"]
    definition: str
    compute: Triple


def _alone(function: Callable[[UInt8Image], float]) -> Triple:
    return lambda fused, _thermal, _visible: function(fused)


_TABLE: tuple[tuple[str, Literal["higher", "lower"], Triple, str], ...] = (
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
    ("MSE", "lower", fidelity.mean_squared_error, "on [0, 1], mean over sources"),
    ("PSNR", "higher", fidelity.psnr, "10 log10(255^2 / MSE)"),
    ("PSNR_255_on_unit", "higher", fidelity.psnr_peak_255_on_unit, "peak 255, MSE on [0, 1]"),
    ("PSNR_vifb", "higher", fidelity.psnr_vifb, "VIFB: RMSE_vifb in the place of MSE"),
    ("PSNR_peak_fused", "higher", fidelity.psnr_peak_of_fused, "peak: brightest fused value"),
    ("RMSE_vifb", "lower", fidelity.rmse_vifb, "VIFB: root of the summed squares / (H W)"),
    ("Qcb", "higher", perception.chen_blum, "Chen & Blum 2009"),
    ("Qcv", "lower", perception.chen_varshney, "Chen & Varshney 2007, VIFB constants"),
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

METRICS: Mapping[str, Metric] = MappingProxyType(
    {name: Metric(name, better, text, compute) for name, better, compute, text in _TABLE}
)

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
    thermal: UInt8Image,
    visible: UInt8Image,
    names: Iterable[str] | None = None,
) -> dict[str, float]:
    """Return each metric's value for one fused image.

    Args:
        fused: ``HxW`` uint8 gray, 0..255; see ``to_gray``.
        thermal: The thermal source, same size and type.
        visible: The visible source, same size and type.
        names: Metrics to compute; None for all.

    Returns:
        Name -> value; nan where a metric is undefined, e.g. SCD of a constant source.

    Raises:
        EncodingError: The images are not 8-bit gray of one size.
        UsageError: A name is unknown.
    """
    metrics = select_metrics(names)
    check_same_grid(fused, thermal, visible)
    return {metric.name: metric.compute(fused, thermal, visible) for metric in metrics}
