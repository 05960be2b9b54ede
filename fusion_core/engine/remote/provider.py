"""The provider of scene priors of a pipeline whose networks run on a server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fusion_core.engine.remote.link import Link
from fusion_core.engine.remote.pair_message import checked
from fusion_core.engine.settings import EngineConfig
from fusion_core.errors import EncodingError, EngineAwayError
from fusion_core.priors import Assessment
from fusion_core.runtime.closable import Closable
from fusion_core.transport.calls import Message
from fusion_core.types import FloatImage, UInt8Image

_WAIT_S: Final = 30.0


class RemoteProvider(Closable):
    """Assess pairs on a server; see ``PriorProvider``. It has a session of its own.

    Args:
        config: Where the server is.
        name: The provider that the server shall run.

    Raises:
        UsageError: The address or the keys are of no use.
    """

    def __init__(self, config: EngineConfig, name: str) -> None:
        self.name = name
        self._dim = 0
        self._link = Link(config, {"role": "prior", "settings": {"prior": name}}, self._on_opened)

    @property
    def dim(self) -> int:
        """Width of the tokens; 0 until the server is known."""
        return self._dim

    def assess(self, visible: UInt8Image | None, thermal: FloatImage | None) -> Assessment:
        """Assess one pair; waits for a server that is away.

        Raises:
            EngineAwayError: It stays away.
            FusionError: It refuses, as the provider there would.
        """
        if not self._link.wait_until_open(_WAIT_S):
            raise EngineAwayError(self._link.problem)
        given = {"visible": visible, "thermal": thermal}
        arrays = {name: array for name, array in given.items() if array is not None}
        answer = self._link.call(dict, lambda: arrays)
        tokens = checked(answer.arrays, "tokens", "float32", 2)
        if tokens is None:
            raise EncodingError("assessment without tokens; update the older end")
        try:
            return Assessment(
                visible=_numbers(answer.text["visible"]),
                thermal=_numbers(answer.text["thermal"]),
                tokens=tokens.copy(),
                quality=float(answer.text["quality"]),
                disputed=tuple(map(str, answer.text["disputed"])),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise EncodingError(
                f"assessment is malformed ({error}); update the older end"
            ) from None

    def close(self) -> None:
        """End the session."""
        self._link.close()

    def _on_opened(self, message: Message) -> None:
        self._dim = int(message.text.get("dim", 0))


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    return {str(name): float(value) for name, value in values.items()}
