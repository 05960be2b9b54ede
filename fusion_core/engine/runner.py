"""The network as a stage of the pipeline; one that fails or times out costs its own frame only."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from fusion_core.engine.plain_fusion import mean_picture, single_picture
from fusion_core.engine.remote import RemoteEngine
from fusion_core.engine.result import EngineResult
from fusion_core.errors import EngineAwayError, FusionError
from fusion_core.runtime.closable import Closable
from fusion_core.runtime.message_filter import MessageFilter
from fusion_core.runtime.timed_call import CallTimeoutError, TimedCaller
from fusion_core.types import AlignedPair, FloatImage, ScenePrior, UInt8Image

if TYPE_CHECKING:
    from fusion_core.engine.pair_engine import PairEngine
    from fusion_core.engine.switching import SwitchingEngine

_log = logging.getLogger(__name__)
AWAY: Final = "engine_away"
FAILED: Final = "fusion_failed"
TIMED_OUT: Final = "fusion_timeout"


class FusionRunner(Closable):
    """Fuse pairs with a limit on the time; where there is no result the visible picture passes.

    While a server that runs the network is away, the plain mean of both cameras takes its place: at
    once in a live stream; a recording waits for the server first, for half the limit.

    Args:
        engine: Runs the network.

    Attributes:
        failures: Pairs without a result of the network.
        away: Of these, pairs during which the server was away.
        last_error: What the last of them failed of, empty before.
    """

    def __init__(self, engine: PairEngine | SwitchingEngine | RemoteEngine) -> None:
        self.failures = self.away = 0
        self.last_error = ""
        self._engine = engine
        self._messages = MessageFilter()
        self._patient = True
        self._caller = TimedCaller("network")

    def run(
        self,
        pair: AlignedPair,
        prior: ScenePrior | None,
        mask: FloatImage | None,
        timeout_s: float,
        *,
        live: bool,
    ) -> tuple[EngineResult, tuple[str, ...]]:
        """Return the picture of one pair, and the conditions that held.

        Args:
            pair: The pair; with one side missing the other is passed through, without network.
            prior: What is known of the scene.
            mask: What is marked.
            timeout_s: Limit of the network's time in seconds.
            live: Newer pairs come whatever happens, so that waiting is of no use.
        """
        one_sided = pair.visible is None or pair.thermal is None
        if one_sided and not isinstance(self._engine, RemoteEngine):
            return self._engine.fuse(pair, prior, mask), ()
        try:
            patience_s = 0.0 if live else timeout_s / 2
            fused = self._caller.call(lambda: self._fuse(pair, prior, mask, patience_s), timeout_s)
        except CallTimeoutError:
            self._count_failure(f"model {self._engine.name!r}: no result within {timeout_s:g} s")
            return EngineResult(_camera_picture(pair)), (TIMED_OUT,)
        except EngineAwayError as error:
            self._count_failure(str(error), "the plain mean of both cameras")
            self.away += 1
            return EngineResult(mean_picture(pair)), (AWAY,)
        except Exception as error:  # noqa: BLE001 - the stream goes on with what the camera sees
            known = isinstance(error, FusionError)
            self._count_failure(str(error) if known else f"{type(error).__name__}: {error}")
            return EngineResult(_camera_picture(pair)), (FAILED,)
        return fused, ()

    def use(self, engine: PairEngine | SwitchingEngine | RemoteEngine) -> None:
        """Run another network from the next pair on."""
        self._engine = engine

    def close(self) -> None:
        """End the network's thread; one that timed out is left to itself."""
        if isinstance(self._engine, RemoteEngine):
            self._engine.close()
        self._caller.close()

    def status(self) -> dict[str, Any]:
        """Return what runs the network and why; of a server its state, and frames without it."""
        if not isinstance(self._engine, RemoteEngine):
            chosen = {"choice": self._engine.choice} if self._engine.choice else {}
            return {"kind": self._engine.kind, **chosen}
        return {**self._engine.status(), "frames_away": self.away}

    def _fuse(
        self,
        pair: AlignedPair,
        prior: ScenePrior | None,
        mask: FloatImage | None,
        patience_s: float,
    ) -> EngineResult:
        """Fuse a pair; for a recording, wait for a server that is away and try again."""
        try:
            fused = self._engine.fuse(pair, prior, mask)
        except EngineAwayError:
            if not (isinstance(self._engine, RemoteEngine) and patience_s and self._patient):
                raise
            # One long wait is enough: the frames after it go on until the server is back.
            self._patient = self._engine.wait_until_open(patience_s)
            fused = self._engine.fuse(pair, prior, mask)
        self._patient = True
        return fused

    def _count_failure(self, message: str, shown: str = "the visible picture") -> None:
        if self._messages.is_new(message):
            _log.warning("a frame goes without fusion and shows %s: %s", shown, message)
        self.last_error = message
        self.failures += 1


def _camera_picture(pair: AlignedPair) -> UInt8Image:
    """Return the visible picture, or the thermal one where there is no other."""
    single = single_picture(pair)
    picture = pair.visible if single is None else single
    assert picture is not None, "a pair has at least one side"
    return picture
