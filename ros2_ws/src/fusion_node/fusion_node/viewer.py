# Copyright 2026 The fusion-core maintainers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""The viewer that shows what the node sees and finds, where one is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fusion_core.errors import UsageError
from fusion_core.sink import Sink, open_sink
from fusion_core.types import FusedFrame

VIEWERS: Final = ("foxglove", "rerun")


def check_viewer(address: str) -> None:
    """Refuse what is no viewer's address; an empty one asks for none.

    Raises:
        UsageError: It is something else.
    """
    if address and address.partition("://")[0] not in VIEWERS:
        raise UsageError(
            f"viewer {address!r}: expected foxglove://HOST:PORT or rerun://HOST:PORT; files are"
            " written by the recorder"
        )


class NodeViewer:
    """Shows results in one viewer, or in none.

    Args:
        address: `foxglove://HOST:PORT` or `rerun://HOST:PORT`; empty: none.

    Raises:
        FusionError: The address is malformed, its port taken, or the viewer's package missing.
    """

    def __init__(self, address: str = "") -> None:
        check_viewer(address)
        self._sink: Sink | None = open_sink(address) if address else None

    @property
    def watched(self) -> bool:
        """Whether results are wanted by it."""
        return self._sink is not None and self._sink.watched

    @property
    def not_shown(self) -> Mapping[str, int]:
        """Results that did not reach it, by cause."""
        return self._sink.dropped if self._sink is not None else {}

    def show(self, fused: FusedFrame) -> None:
        """Hand over one result; returns at once."""
        if self._sink is not None:
            self._sink.write(fused)

    def close(self) -> None:
        """End it; may be called twice."""
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.close()
