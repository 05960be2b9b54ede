import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from fusion_core.errors import UsageError
from fusion_lab.training.detector import DetectorRecipe, DetectorTrainer
from fusion_lab.training.detector.assign import Objects
from fusion_lab.training.detector.boxes import corners, pairwise_iou
from fusion_lab.training.detector.crops import Sampling, make_detection_batch
from fusion_lab.training.detector.export import export_onnx
from fusion_lab.training.detector.loop import learning_rate
from fusion_lab.training.detector.loss import pair_loss
from fusion_lab.training.detector.network import PairNano
from fusion_lab.training.loop import Place

SMALL = DetectorRecipe(
    steps=4,
    batch=2,
    warmup=1,
    save_every=2,
    rendered_seeds=0,
    input=(128, 160),
    sampling=Sampling(size=64, fitted=(128, 160)),
)


def content(folder):
    """Tensors by name, and the scalars; the order of keys in the file is the format's own."""
    with safe_open(folder / "checkpoint.safetensors", "pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, file.metadata()  # noqa: SIM118


def test_killed_and_resumed_run_ends_with_the_same_bits(tmp_path, pool, monkeypatch):
    class Clock:  # the seconds that a run took are part of its checkpoint
        @staticmethod
        def monotonic():
            return 0.0

    monkeypatch.setattr("fusion_lab.training.loop.time", Clock)
    DetectorTrainer(SMALL, pool, Place(tmp_path / "whole")).run()
    broken = DetectorTrainer(SMALL, pool, Place(tmp_path / "broken"))
    left = iter(range(2))

    def stop():
        if next(left, None) is None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken.run(stop)
    resumed = DetectorTrainer(SMALL, pool, Place(tmp_path / "broken"), resume=True)
    assert resumed.step == 2
    resumed.run()
    whole, scalars = content(tmp_path / "whole")
    again, same = content(tmp_path / "broken")
    assert scalars == same
    assert whole.keys() == again.keys()
    assert all(torch.equal(tensor, again[name]) for name, tensor in whole.items())


def test_the_visible_backbone_learns_at_its_share_of_the_rate(tmp_path, pool):
    """AdamW's first step moves every parameter with a gradient by the rate, whatever the size."""
    recipe = dataclasses.replace(SMALL, steps=1, weight_decay=0.0, visible_share=0.25)
    trainer = DetectorTrainer(recipe, pool, Place(tmp_path))
    before = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    trainer.run()
    moved = {"visible": 0.0, "thermal": 0.0, "neck": 0.0}
    for name, parameter in trainer.model.named_parameters():
        room = name.split(".")[0]
        if room in moved:
            step = (parameter.detach() - before[name]).abs().max().item()
            moved[room] = max(moved[room], step)
    rate = learning_rate(recipe, 0)
    assert moved["visible"] == pytest.approx(0.25 * rate, rel=1e-2)
    assert moved["thermal"] == pytest.approx(rate, rel=1e-2)
    assert moved["neck"] == pytest.approx(rate, rel=1e-2)


def test_a_run_is_not_overwritten_and_steps_may_change_until_the_decay(tmp_path, pool):
    place = Place(tmp_path / "run")
    recipe = dataclasses.replace(SMALL, steps=2)
    DetectorTrainer(dataclasses.replace(recipe, decay=0.0), pool, place).run()
    with pytest.raises(UsageError, match="resume"):
        DetectorTrainer(recipe, pool, place)
    with pytest.raises(UsageError, match="recipe"):
        DetectorTrainer(dataclasses.replace(recipe, batch=3), pool, place, resume=True)
    longer = dataclasses.replace(recipe, decay=0.0, steps=9)
    assert DetectorTrainer(longer, pool, place, resume=True).step == 2
    begun = Place(tmp_path / "begun")
    DetectorTrainer(recipe, pool, begun).run()
    with pytest.raises(UsageError, match="steps"):
        DetectorTrainer(dataclasses.replace(recipe, steps=9), pool, begun, resume=True)


def test_learning_rate_rises_stays_and_falls():
    recipe = DetectorRecipe(steps=100, warmup=10, decay=0.4, learning_rate=1.0)
    rates = [learning_rate(recipe, step) for step in (0, 4, 9, 30, 60, 80, 99)]
    assert rates == pytest.approx([0.1, 0.5, 1.0, 1.0, 1.0, 0.5, 0.025])


def test_pictures_are_learned_by_heart_from_random_weights(pool):
    """The surest of all points finds the object of its picture."""
    sampling = Sampling(size=96, fitted=(128, 160), scale=(1.0, 1.0), mosaic=0, blind=0, shift=0)
    drawn = (make_detection_batch(pool, sampling, count=2, seed=0, step=step) for step in range(50))
    batch = next(one for one in drawn if [len(o.boxes) for o in one.objects] == [1, 1])
    torch.manual_seed(1)
    model = PairNano().train()
    optimiser = torch.optim.AdamW(model.parameters(), 1e-3)
    for _ in range(300):
        predictions = model.predict(model.features(batch.images))
        loss = pair_loss(predictions, batch.objects, batch.people)["total"]
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10)
        optimiser.step()
    with torch.no_grad():
        predictions, _ = model.predict(model.features(batch.images)).views()
    for logits, boxes, truth in zip(*predictions[:2], batch.objects, strict=True):
        surest = logits.amax(1).argmax()
        assert logits[surest].argmax() == truth.classes[0]
        assert pairwise_iou(corners(boxes[surest][None]), corners(truth.boxes)).item() > 0.5


def test_export_equals_torch_and_says_what_it_is(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    torch.manual_seed(1)
    model = PairNano()
    with torch.no_grad():
        images = torch.rand(1, 4, 64, 96)
        expected = model(images).numpy()
    export_onnx(model, (64, 96), tmp_path / "detector.onnx", {"steps": 3}, large=(96, 160))
    session = onnxruntime.InferenceSession(
        tmp_path / "detector.onnx", providers=["CPUExecutionProvider"]
    )
    assert str(Path(__file__).parents[3]).encode() not in (tmp_path / "detector.onnx").read_bytes()
    (found,) = session.run(["output0"], {"images": images.numpy()})
    assert np.allclose(found, expected, rtol=1e-3, atol=1e-3)
    larger = torch.rand(1, 4, 96, 160)
    with torch.no_grad():
        expected = model(larger).numpy()
    (found,) = session.run(["output0"], {"images": larger.numpy()})
    assert np.allclose(found, expected, rtol=1e-3, atol=1e-3)
    metadata = session.get_modelmeta().custom_metadata_map
    assert metadata["names"] == "{0: 'person', 1: 'vehicle', 2: 'cycle'}"
    assert metadata["input"] == "pair"
    assert 0 < float(metadata["conf"]) < 1
    assert 0 < float(metadata["iou"]) < 1
    assert json.loads(metadata["training"]) == {"steps": 3}
    assert json.loads(metadata["imgsz"]) == [64, 96]
    assert json.loads(metadata["imgsz_large"]) == [96, 160]


def test_objects_move_to_a_device():
    objects = Objects(torch.zeros(1, 4), torch.zeros(1).long(), torch.zeros(0, 4)).to("cpu")
    assert objects.boxes.device.type == "cpu"
