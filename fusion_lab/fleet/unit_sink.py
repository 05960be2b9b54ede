"""The tables and the worst moments of one recording, written while it is fused."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from fusion_core.errors import SinkError
from fusion_core.sink import Sink
from fusion_core.types import FusedFrame
from fusion_lab.fleet.moments import MomentSelector
from fusion_lab.fleet.tables import SCHEMAS, detection_rows, frame_row

_ROWS: Final = 5000  # of a row group


class UnitSink(Sink):
    """Write ``frames.parquet``, ``detections.parquet`` and pictures of the worst moments.

    Args:
        folder: Where to write.
        recording: Name in the tables.
    """

    def __init__(self, folder: Path, recording: str) -> None:
        self.path: Path = folder
        self._recording = recording
        self._moments = MomentSelector()
        self._rows: dict[str, list[dict[str, Any]]] = {name: [] for name in SCHEMAS}
        self._writers = {
            name: pq.ParquetWriter(folder / f"{name}.parquet", schema)
            for name, schema in SCHEMAS.items()
        }

    def write(self, fused: FusedFrame) -> None:
        """Add one result.

        Raises:
            SinkError: The disk is full or gone.
        """
        self._rows["frames"].append(frame_row(self._recording, fused))
        self._rows["detections"] += detection_rows(self._recording, fused)
        self._moments.consider_result(fused)
        for name, rows in self._rows.items():
            if len(rows) >= _ROWS:
                self._flush(name)

    def close(self) -> None:
        """Complete the tables and write the pictures.

        Raises:
            SinkError: The disk is full or gone.
        """
        if not self._writers:
            return
        try:
            for name in self._rows:
                self._flush(name)
            self._moments.save(self.path, self._recording)
        except OSError as error:
            raise self._failed(error) from None
        finally:
            writers, self._writers = self._writers, {}
            for writer in writers.values():
                writer.close()

    def _flush(self, name: str) -> None:
        rows, self._rows[name] = self._rows[name], []
        try:
            self._writers[name].write_table(pa.Table.from_pylist(rows, schema=SCHEMAS[name]))
        except OSError as error:
            raise self._failed(error) from None

    def _failed(self, error: OSError) -> SinkError:
        return SinkError(f"{self.path}: cannot be written ({error}); make room on the disk")
