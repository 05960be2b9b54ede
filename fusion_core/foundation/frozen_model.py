"""One holder for every pre-trained model that a network or a provider uses but never trains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import Self

from fusion_core.errors import WeightsError
from fusion_core.foundation.fingerprint import fingerprint
from fusion_core.foundation.kinds import FoundationKind

_CPU = torch.device("cpu")


@dataclass(slots=True)
class _Slot:
    """The loaded model and where it is; shared by a holder and its copies."""

    module: nn.Module | None = None
    device: torch.device = _CPU
    dtype: torch.dtype = torch.float32
    fingerprint: str = ""

    def identify(self) -> str:
        """Return the fingerprint of the weights as loaded."""
        assert self.module is not None
        self.fingerprint = self.fingerprint or fingerprint(self.module)
        return self.fingerprint

    def move(self, device: torch.device, dtype: torch.dtype) -> nn.Module:
        """Return the model on a device and with a type of weights."""
        assert self.module is not None
        if dtype != self.dtype:
            self.identify()  # of the weights before they are rounded
            self.module.to(dtype=dtype)
        if device != self.device:
            self.module.to(device)
        self.device, self.dtype = device, dtype
        return self.module


class FrozenModel(nn.Module):
    """A pre-trained model that is used and never changed.

    Registered in a network like any other submodule, it follows the network's ``.to()``, but none
    of its weights appears in the network's parameters, state or checkpoint, and training mode does
    not reach it. It is loaded at the first use, from this machine, without gradients and in
    evaluation mode. Copies share the loaded model, which moves to whichever was used last.

    Args:
        kind: How it is loaded.
        weights: Folder or hub name; the kind's default when empty.
        dtype: Type of the floating-point weights until ``.to()`` asks for another.
    """

    def __init__(
        self, kind: FoundationKind, weights: str = "", dtype: torch.dtype = torch.float32
    ) -> None:
        super().__init__()
        self.kind = kind
        self._weights = weights or kind.default
        self._load_dtype = dtype
        # Stands for the weights in `.to()` before they are loaded.
        self._place = torch.zeros(1, dtype=dtype)
        self._slot = _Slot()
        self._expected: tuple[str, str] | None = None

    @property
    def weights(self) -> str:
        """Folder or hub name of the weights."""
        return self._weights

    @weights.setter
    def weights(self, weights: str) -> None:
        if weights != self._weights:
            self._weights, self._slot = weights, _Slot()

    @property
    def is_loaded(self) -> bool:
        """Whether the weights are in memory."""
        return self._slot.module is not None

    @property
    def model(self) -> Any:  # noqa: ANN401 - of the kind's own class
        """The model, on the holder's device; loaded when it was not yet.

        Raises:
            MissingExtraError: The package that runs it is not installed.
            WeightsError: The weights are not on this machine, or not those expected.
        """
        return self._ready().move(self._place.device, self._place.dtype)

    def fingerprint(self) -> str:
        """Return what identifies the weights, see :func:`fingerprint`; loads them if need be.

        It is that of the weights as loaded, and does not change with ``.to()``.
        """
        return self._ready().identify()

    @property
    def recorded(self) -> str:
        """Fingerprint for a checkpoint: the expected or the loaded one, empty when neither is."""
        if self.is_loaded:
            return self._slot.identify()
        return self._expected[0] if self._expected else ""

    def expect(self, identity: str, origin: str) -> None:
        """Accept only weights with this fingerprint, now or when they are loaded.

        Args:
            identity: The fingerprint.
            origin: What was trained with those weights, for the message.

        Raises:
            WeightsError: Others are loaded already.
        """
        if self.is_loaded:
            self._check(self._slot.identify(), identity, origin)
        self._expected = identity, origin

    def __deepcopy__(self, memo: dict[int, Any]) -> FrozenModel:
        """Return a holder of the same loaded model: what never changes need not be copied."""
        copied = FrozenModel(self.kind, self._weights, self._load_dtype)
        copied._place, copied._slot = self._place.clone(), self._slot
        copied._expected = self._expected
        memo[id(self)] = copied
        return copied

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._place = fn(self._place)
        if self.is_loaded:
            self._slot.move(self._place.device, self._place.dtype)
        return self

    def _ready(self) -> _Slot:
        """Return the slot with the model in it, loaded and as expected."""
        slot = self._slot
        if slot.module is None:
            # Loading must not move the caller's random numbers: a run that was resumed loads later.
            with torch.random.fork_rng(devices=[]):
                module = self.kind.read(
                    self._weights, lambda: self.kind.load(self._weights, self._load_dtype)
                )
            slot.module = module.eval().requires_grad_(requires_grad=False)
            slot.dtype = self._load_dtype
        if self._expected:
            self._check(slot.identify(), *self._expected)
        return slot

    def _check(self, found: str, identity: str, origin: str) -> None:
        if found != identity:
            raise WeightsError(
                f"{self.kind.title}: {self._weights!r} has the fingerprint {found}, {origin} was "
                f"trained with {identity}; set {self.kind.setting} to a folder of those weights"
            )


def load_frozen(network: nn.Module) -> None:
    """Load every frozen model in a network now, so that a missing one is reported at the start.

    Raises:
        MissingExtraError: The package that runs one is not installed.
        WeightsError: Weights are not on this machine, or not those expected.
    """
    for part in network.modules():
        if isinstance(part, FrozenModel):
            _ = part.model
