"""Run an exported fusion network on aligned pairs, in colour."""

from __future__ import annotations

import time

from fusion_core.engine.exported.network import ExportedNetwork
from fusion_core.engine.pair_engine import PairEngine, PreparedPair
from fusion_core.engine.picture_io import NetworkPicture
from fusion_core.memory import MemoryBank, MemoryConfig


def trained_bank(network: ExportedNetwork, config: MemoryConfig) -> MemoryBank | None:
    """Return the memory bank of an exported network as trained, None for one without memory."""
    card = network.card
    if not card.features.uses_memory:
        return None
    return MemoryBank(card.slots, config, card.model, card.scores)


class ExportedEngine(PairEngine):
    """Fuse aligned pairs with one exported network in ONNX Runtime or OpenVINO.

    Args:
        network: The network.
        bank: Memory bank, for a network that uses one.
        temporal_smoothing: See :class:`PairEngine`.
        correct_inputs: See :class:`PairEngine`.
        fade_frames: See :class:`PairEngine`.
    """

    def __init__(
        self,
        network: ExportedNetwork,
        bank: MemoryBank | None,
        temporal_smoothing: float = 0.0,
        *,
        correct_inputs: bool = False,
        fade_frames: int = 1,
    ) -> None:
        super().__init__(
            network.card.model,
            network.card.features,
            bank,
            temporal_smoothing,
            correct_inputs=correct_inputs,
            fade_frames=fade_frames,
        )
        self._network = network

    @property
    def device(self) -> str:
        """Where the network runs: ``cpu`` or ``cuda``."""
        return "cpu" if self._network.config.provider == "cpu" else "cuda"

    @property
    def kind(self) -> str:
        """``openvino``, or ``onnx`` with its provider, and the precision."""
        config = self._network.config
        provider = "" if config.kind == "openvino" else f" {config.provider}"
        return f"{config.kind}{provider} {self._network.precision}"

    def run(self, prepared: PreparedPair) -> tuple[NetworkPicture, float]:
        """Run the network; return what it made of a pair, and its milliseconds."""
        uses = self._features
        chroma = None
        if uses.uses_chroma and uses.gives == "luma":
            chroma = prepared.camera.pixels[..., 2:0:-1]
        start = time.perf_counter()
        made = self._network.run(
            prepared.thermal,
            prepared.seen,
            chroma=chroma,
            tokens=prepared.tokens,
            mask=prepared.mask,
            slots=prepared.slots,
        )
        return made, (time.perf_counter() - start) * 1e3
