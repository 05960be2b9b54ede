"""Tensors on disk: the same content, the same bytes."""

import torch

from fusion_core.errors import WeightsError
from fusion_core.runtime.tensors import read_tensors, write_tensors

METADATA = {"format": "f", "version": "1", "training": '{"steps": 3}', "note": "blurred by 2 µm"}


def test_the_same_content_gives_the_same_bytes(tmp_path):
    """What writes the file orders its metadata at random."""
    tensors = {"b": torch.arange(3.0), "a": torch.ones(2, 2)}
    files = set()
    for number in range(20):
        path = tmp_path / f"{number}.safetensors"
        write_tensors(path, tensors, METADATA)
        files.add(path.read_bytes())
        metadata, found = read_tensors(path, {"format": "f"}, WeightsError, "")
        assert metadata == METADATA
        assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())
    assert len(files) == 1
