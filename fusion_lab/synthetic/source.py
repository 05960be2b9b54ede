"""The synthetic scene as a recorded stream."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from fusion_core.runtime.drop_log import DropLog
from fusion_core.source.base import SourceKind
from fusion_core.types import Frame, Modality
from fusion_lab.synthetic import SyntheticScene


class SceneStream:
    """One or both modalities of a synthetic scene; see ``RecordedStream``.

    Args:
        url: ``synthetic://SCENE?seed=1``.
        modalities: Which frames to give.

    Raises:
        UsageError: The scene or a parameter of it is unknown.
    """

    def __init__(self, url: str, modalities: Collection[Modality]) -> None:
        self.drop_log = DropLog()
        self._scene = SyntheticScene.from_url(url)
        self._modalities = frozenset(modalities)
        self.total = self._scene.total if "visible" in self._modalities else None

    def frames(self) -> Iterator[Frame]:
        """Render frame by frame."""
        return (frame for frame in self._scene.frames() if frame.modality in self._modalities)

    def close(self) -> None:
        """A scene holds nothing open."""


SYNTHETIC = SourceKind(open=SceneStream, example="synthetic://SCENE?seed=1", holds_both=True)
