"""CUDA graphs, as far as a machine without a GPU can tell; `fusion bench gpu` compares pictures."""

import pytest
import torch

from fusion_core.engine import cuda_graph
from fusion_core.engine.cuda_graph import GraphedForward
from fusion_core.engine.torch_pictures import NetworkTensors
from fusion_core.models import Cues, TextCue

PICTURE = torch.rand(1, 1, 4, 6)


def forward(visible, hot, cues):
    return NetworkTensors(visible + hot)


def test_a_network_that_cannot_be_recorded_runs_step_by_step(monkeypatch):
    tried = []

    def record(*_):
        tried.append(1)
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(cuda_graph, "record", record)
    run = GraphedForward(forward)
    for picture in (PICTURE, PICTURE, PICTURE.repeat(1, 1, 2, 1), PICTURE):
        assert torch.equal(run(picture, picture, Cues()).luma, 2 * picture)
    assert len(tried) == 2, "once per size"


def test_texts_are_never_recorded(monkeypatch):
    monkeypatch.setattr(cuda_graph, "record", lambda *_: pytest.fail("recorded"))
    text = TextCue(torch.zeros(1, 2, 3), torch.ones(1, 2, dtype=torch.bool))
    GraphedForward(forward)(PICTURE, PICTURE, Cues(text=text))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_recording_follows_its_inputs():
    slots = torch.rand(3, 2, device="cuda")

    def network(visible, hot, cues):
        return NetworkTensors(visible * cues.memory.sum() - hot)

    run = GraphedForward(network)
    for factor in (1.0, 2.0):
        visible, hot = (factor * PICTURE.cuda() + shift for shift in (0, 1))
        cues = Cues(memory=factor * slots)
        torch.testing.assert_close(
            run(visible, hot, cues).luma.clone(), network(visible, hot, cues).luma
        )
