"""One table of all recordings from the table of each."""

from __future__ import annotations

import posixpath
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq

from fusion_lab.fleet.places import file_system, upload_whole
from fusion_lab.fleet.tables import SCHEMAS
from fusion_lab.fleet.totals import FleetTotals
from fusion_lab.fleet.unit import UnitRecord


def merge_tables(out: str, records: Sequence[UnitRecord], totals: FleetTotals) -> None:
    """Write ``frames.parquet`` and ``detections.parquet`` of all recordings that are done.

    At most one row group is in memory at a time.

    Args:
        out: Address of the fleet's folder.
        records: The recordings, in the order of the rows.
        totals: Takes the frames.
    """
    system, path = file_system(out)
    system.makedirs(path, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, schema in SCHEMAS.items():
            whole = Path(folder) / f"{name}.parquet"
            with pq.ParquetWriter(whole, schema) as writer:
                for record in records:
                    part = posixpath.join(path, record.name, whole.name)
                    with system.open(part, "rb") as file, pq.ParquetFile(file) as table:
                        for group in range(table.num_row_groups):
                            rows = table.read_row_group(group)
                            writer.write_table(rows)
                            if name == "frames":
                                totals.add_frames(record.name, rows)
            upload_whole(system, whole, posixpath.join(path, whole.name))
