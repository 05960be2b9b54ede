"""The network as a stage of the pipeline; one that fails or times out costs its own frame only."""

from __future__ import annotations

import logging
from typing import Final

from fusion_core.engine.switching import SwitchingEngine
from fusion_core.engine.torch_engine import Engine, EngineResult
from fusion_core.errors import FusionError
from fusion_core.runtime.closable import Closable
from fusion_core.runtime.message_filter import MessageFilter
from fusion_core.runtime.timed_call import CallTimeoutError, TimedCaller
from fusion_core.types import AlignedPair, FloatImage, ScenePrior

_log = logging.getLogger(__name__)
FAILED: Final = "fusion_failed"
TIMED_OUT: Final = "fusion_timeout"


class FusionRunner(Closable):
    """Fuse pairs with a limit on the time; where there is no result the visible picture passes.

    Args:
        engine: Runs the network.

    Attributes:
        failures: Pairs without a result.
        last_error: What the last of them failed of, empty before.
    """

    def __init__(self, engine: Engine | SwitchingEngine) -> None:
        self.failures = 0
        self.last_error = ""
        self._engine = engine
        self._messages = MessageFilter()
        self._caller = TimedCaller("network")

    def run(
        self,
        pair: AlignedPair,
        prior: ScenePrior | None,
        mask: FloatImage | None,
        timeout_s: float,
    ) -> tuple[EngineResult, tuple[str, ...]]:
        """Return the picture of one pair, and the conditions that held.

        Args:
            pair: The pair; with one side missing the other is passed through, without network.
            prior: What is known of the scene.
            mask: What is marked.
            timeout_s: Limit of the network's time in seconds.
        """
        if pair.visible is None or pair.thermal is None:
            return self._engine.fuse(pair, prior, mask), ()
        try:
            fused = self._caller.call(lambda: self._engine.fuse(pair, prior, mask), timeout_s)
        except CallTimeoutError:
            self._count_failure(f"model {self._engine.name!r}: no result within {timeout_s:g} s")
            return EngineResult(pair.visible), (TIMED_OUT,)
        except Exception as error:  # noqa: BLE001 - the stream goes on with what the camera sees
            known = isinstance(error, FusionError)
            self._count_failure(str(error) if known else f"{type(error).__name__}: {error}")
            return EngineResult(pair.visible), (FAILED,)
        return fused, ()

    def use(self, engine: Engine | SwitchingEngine) -> None:
        """Run another network from the next pair on."""
        self._engine = engine

    def close(self) -> None:
        """End the network's thread; one that timed out is left to itself."""
        self._caller.close()

    def _count_failure(self, message: str) -> None:
        if self._messages.is_new(message):
            _log.warning("a frame goes without fusion and shows the visible picture: %s", message)
        self.last_error = message
        self.failures += 1
