import io
import json
import warnings

import numpy as np
import pytest
import zmq
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from PIL import Image

from fusion_core.types import (
    AlignedPair,
    CameraModel,
    Detection,
    Frame,
    FramePair,
    FusedFrame,
    ScenePrior,
)

# 2026-03-01T12:00:00.123456789 UTC: any unit but nanoseconds is off by years.
START_NS = 1_772_366_400_123_456_789
CAMERA = CameraModel(64, 48, "plumb_bob", (0.1, -0.2, 0, 0, 0), (60, 0, 31.5, 0, 61, 23.5, 0, 0, 1))
PERSON = Detection("person", 0.875, (8.0, 4.0, 16.0, 24.0), track_id=7, temperature=31.25)


@pytest.fixture
def make_fused():
    """Return a maker of results: red, green and blue thirds, gray steps in thermal, one person."""

    def make(number=0, stamp_ns=None, detections=(PERSON,), **fields):
        stamp_ns = START_NS + number * 33_333_333 if stamp_ns is None else stamp_ns
        image = np.zeros((48, 64, 3), np.uint8)
        image[:, :24, 0] = image[:, 24:40, 1] = image[:, 40:, 2] = 250
        thermal = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (48, 1))
        counts = (20_000 + 3000 * thermal).astype(np.uint16)
        visible = Frame(stamp_ns, "visible", image, "rgb8", "rgb_optical", number, CAMERA)
        pair = FramePair(
            stamp_ns,
            visible,
            Frame(stamp_ns + 2_000_000, "thermal", counts, "mono16", "thermal_optical"),
            2_000_000,
        )
        prior = ScenePrior(
            3, stamp_ns, "embedded", {"clean": 0.25, "smoke": 0.75}, {"clean": 1.0},
            np.zeros((1, 4), np.float32), 0.5,
        )  # fmt: skip
        values = {
            "pair": pair,
            "aligned": AlignedPair(
                stamp_ns, image, thermal, np.ones((48, 64), bool), confidence=0.625,
                residual_px=1.5,
            ),
            "detections": detections,
            "prior": prior,
            "timings": {"network": 12.5, "total": 20.0 + number},
            "drops": {"no_partner": number},
            "health": ("registration_low",),
            "quality": 0.75,
        }  # fmt: skip
        return FusedFrame(number, stamp_ns, **{"image": image, **values, **fields})

    return make


@pytest.fixture
def is_red_then_blue():
    """Return a check of the pictures of ``make_fused``, decoded to RGB."""

    def check(picture):
        (red, _, other), (another, _, blue) = picture[24, 8], picture[24, 56]
        return picture.shape == (48, 64, 3) and min(red, blue) > 200 and max(other, another) < 60

    return check


@pytest.fixture
def free_port():
    with zmq.Context() as context, context.socket(zmq.PUB) as probe:
        return probe.bind_to_random_port("tcp://127.0.0.1")


@pytest.fixture
def decode_jpeg():
    """Return a decoder to RGB that shares no code with the encoder."""

    def decode(data):
        with Image.open(io.BytesIO(bytes(data))) as picture:
            assert picture.format == "JPEG"
            return np.asarray(picture.convert("RGB"))

    return decode


@pytest.fixture
def read_rrd():
    """Return a reader: entity -> column -> values, sorted by stamp; static ones have none."""
    chunk = pytest.importorskip("rerun.chunk")

    def read(path):
        rows = {}
        with warnings.catch_warnings():
            # What a viewer's server saves has no index.
            warnings.simplefilter("ignore")
            parts = list(chunk.RrdReader(path).stream())
        for part in parts:
            batch = part.to_record_batch()
            names = {
                field.name: (field.metadata or {}).get(b"rerun:kind", b"") for field in batch.schema
            }
            stamps = [None] * batch.num_rows
            if "stamp" in names:
                assert str(batch.schema.field("stamp").type) == "timestamp[ns]"
                stamps = batch.column("stamp").cast("int64").to_pylist()
            for name, kind in names.items():
                if kind != b"data":
                    continue
                values = batch.column(name).to_pylist()
                column = rows.setdefault(part.entity_path, {}).setdefault(name, [])
                column += [pair for pair in zip(stamps, values, strict=True) if pair[1] is not None]
        for columns in rows.values():
            for column in columns.values():
                column.sort(key=lambda pair: pair[0] or 0)
        return rows

    return read


@pytest.fixture
def decode_message():
    """Return a decoder of Foxglove's messages that knows no more than what comes with them."""

    def decode(encoding, schema_name, definition, data):
        if encoding == "json":
            return json.loads(data)
        pool = descriptor_pool.DescriptorPool()
        for file in descriptor_pb2.FileDescriptorSet.FromString(definition).file:
            pool.Add(file)
        kind = message_factory.GetMessageClass(pool.FindMessageTypeByName(schema_name))
        return kind.FromString(bytes(data))

    return decode
