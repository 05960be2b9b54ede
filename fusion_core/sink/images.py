"""One PNG per fused frame."""

from __future__ import annotations

from pathlib import Path

import cv2

from fusion_core.errors import SinkError
from fusion_core.runtime.files import write_atomic
from fusion_core.sink.base import Sink, SinkKind, make_folder
from fusion_core.types import FusedFrame

# Level 1 takes a third of the default's time for files a tenth larger.
_PNG = (cv2.IMWRITE_PNG_COMPRESSION, 1)


class ImageFolderSink(Sink):
    """Write PNG files named like the visible source's, or by frame number without a name.

    Args:
        path: Folder, created when missing; files of the same name are replaced.

    Raises:
        SinkError: The folder cannot be created.
    """

    def __init__(self, path: Path) -> None:
        self.path: Path = path
        self._written: set[str] = set()
        make_folder(path)

    def write(self, fused: FusedFrame) -> None:
        """Write one file."""
        assert self.path is not None
        visible = fused.pair.visible
        stem = (visible.name if visible is not None else "") or f"{fused.frame:06d}"
        # A visible frame that was fused twice, with two thermal ones, must not overwrite itself.
        if stem in self._written:
            stem = f"{stem}_{fused.frame:06d}"
        self._written.add(stem)
        target = self.path / f"{stem}.png"
        _, data = cv2.imencode(".png", cv2.cvtColor(fused.image, cv2.COLOR_RGB2BGR), _PNG)
        try:
            # What a link of this name leads to is not ours to write.
            if target.is_symlink():
                target.unlink()
            write_atomic(target, data.tobytes())
        except OSError as error:
            raise SinkError(
                f"{target}: cannot be written ({error.strerror}); the files before it are whole: "
                "make room or choose another folder"
            ) from None

    def close(self) -> None:
        """Nothing stays open between images."""


FOLDER = SinkKind(
    open=lambda path, _overlay: ImageFolderSink(Path(path)),
    example="a folder ending in / (PNG per frame)",
)
