"""A recorded log, and what the pipeline makes of it.

The log is a bag of a synthetic drive with a fixed seed, the reference `reference.json`. After a
change that is meant to change results, write the reference anew and look at what differs:

    python tests/replay/replay_log.py
"""

import json
from pathlib import Path

import cv2
import numpy as np

from fusion_core.config import Config
from fusion_core.pipeline import Pipeline
from fusion_core.sink.bag import BagRecorder
from fusion_core.source import open_source

REFERENCE = Path(__file__).with_name("reference.json")
SCENE = "synthetic://street?seed=7&seconds=1&rgb_hz=10"
RIG = Path(__file__).parents[2] / "calibration" / "synthetic.yaml"
CONFIG = {
    "device": "cpu",
    "engine": {"kind": "torch"},
    "model": "m2pn-edge",
    "calibration": str(RIG),
}
SIZE = (16, 12)  # of the thumbnails


def thumbnail(image):
    """Return a small picture's rows of gray levels."""
    gray = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return cv2.resize(gray.astype(np.float32), SIZE, interpolation=cv2.INTER_AREA)


def record(path):
    """Write the log."""
    with open_source(SCENE) as source, BagRecorder(path) as bag:
        for frame in source.frames():
            bag.write_frame(frame)


def replay(path):
    """Return what the pipeline makes of the log, frame by frame, and its counters."""
    frames = []
    with open_source(str(path)) as source, Pipeline(Config.from_dict(CONFIG)) as pipeline:
        for fused in pipeline.stream(source):
            thermal = fused.pair.thermal
            frames.append(
                {
                    "stamp_ns": fused.stamp_ns,
                    "skew_ns": fused.skew_ns,
                    "visible": round(float(fused.pair.visible.image.mean()), 2),
                    "thermal": None if thermal is None else round(float(thermal.image.mean()), 2),
                    "image": np.rint(thumbnail(fused.image)).astype(int).tolist(),
                    "quality": None if fused.quality is None else round(fused.quality, 4),
                    "confidence": round(fused.aligned.confidence, 3),
                    "detections": sorted(found.label for found in fused.detections),
                    "health": list(fused.health),
                }
            )
        status = pipeline.status()
    counters = {"read": dict(status.read), "used": dict(status.used), "drops": dict(status.drops)}
    return {"frames": frames, "counters": counters}


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        record(Path(folder) / "bag")
        REFERENCE.write_text(json.dumps(replay(Path(folder) / "bag")) + "\n")
