"""Open a provider of scene priors by its name."""

from __future__ import annotations

from typing import Literal

from fusion_core.errors import UsageError, missing_extra
from fusion_core.inference import SessionConfig, is_installed
from fusion_core.priors.provider import PriorProvider
from fusion_core.priors.second import SecondOpinion
from fusion_core.priors.settings import PriorsConfig

ProviderName = Literal["embedded", "clip", "blip2"]


def open_provider(
    name: ProviderName, config: PriorsConfig, device: str, *, exported: bool = False
) -> PriorProvider:
    """Return a provider with its weights loaded, and the second one beside it if one is set.

    Args:
        name: Which.
        config: Where weights lie, and which one is asked as well.
        device: ``cpu`` or ``cuda``, for the large ones; the embedded one stays on the CPU.
        exported: Run the embedded one without torch.

    Raises:
        UsageError: The second provider is the same, or both are large ones.
        MissingExtraError: The package that runs it is not installed.
        WeightsError: The weights are missing or torn.
    """
    if config.second != "none" and (name == "embedded") == (config.second == "embedded"):
        raise UsageError(
            f"priors.second {config.second!r} beside prior {name!r}: one of both has to be "
            "embedded, the other clip or blip2"
        )
    first = _open_one(name, config, device, exported=exported)
    if config.second == "none":
        return first
    return SecondOpinion(first, _open_one(config.second, config, device, exported=exported))


def _open_one(
    name: ProviderName, config: PriorsConfig, device: str, *, exported: bool
) -> PriorProvider:
    if name == "embedded" and exported:
        from fusion_core.priors.exported import ExportedProvider

        return ExportedProvider(SessionConfig("onnx", threads=1))
    if not is_installed("torch"):
        raise missing_extra(f"prior {name!r}", "torch", "torch")
    if name == "embedded":
        from fusion_core.priors.embedded import EmbeddedProvider

        return EmbeddedProvider()
    if name == "clip":
        from fusion_core.priors.clip import ClipProvider

        return ClipProvider(config.weights, device)
    from fusion_core.priors.blip2 import Blip2Provider

    return Blip2Provider(config.weights, device)
