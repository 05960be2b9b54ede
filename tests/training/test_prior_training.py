"""Training of the embedded prior provider: labels, scores, calibration, one tiny run."""

import cv2
import numpy as np
import pytest
import torch

from fusion_core.errors import SourceError
from fusion_core.priors.kinds import THERMAL_KINDS, VISIBLE_KINDS
from fusion_lab.training.degradations import testset
from fusion_lab.training.priors import PriorRecipe, PriorTraining
from fusion_lab.training.priors.bases import Base, load_bases, native, synthetic_bases
from fusion_lab.training.priors.loop import fit, platt, split
from fusion_lab.training.priors.samples import degrade, make_samples, stack
from fusion_lab.training.priors.scores import average_precision, calibration_error, confusion


@pytest.fixture
def folder(tmp_path):
    """Seven small pairs."""
    rng = np.random.default_rng(0)
    for name in ("vi", "ir"):
        (tmp_path / "set" / name).mkdir(parents=True)
    for index in range(7):
        picture = cv2.resize(rng.integers(0, 256, (9, 12, 3), np.uint8), (120, 90))
        cv2.imwrite(str(tmp_path / "set" / "vi" / f"{index}.png"), picture)
        cv2.imwrite(str(tmp_path / "set" / "ir" / f"{index}.png"), picture[..., 0])
    return tmp_path / "set"


def base(present=None, unknown=()):
    picture = np.random.default_rng(3).integers(40, 200, (64, 80, 3), np.uint8)
    return Base(
        "s", "s/0", picture, picture[..., 0], present or {}, frozenset(unknown), frozenset()
    )


def samples_of(severities, **state):
    origin = base(**state)
    row = degrade(origin, "visible", severities, 1, origin.visible.astype(np.float32) / 255)
    found = stack([row], "visible")
    labels = dict(zip(VISIBLE_KINDS, found.labels[0].tolist(), strict=True))
    known = dict(zip(VISIBLE_KINDS, found.known[0].tolist(), strict=True))
    return labels, known, float(found.quality[0])


class TestLabels:
    def test_a_picture_untouched_is_clean(self):
        labels, known, quality = samples_of({})
        assert labels == {kind: float(kind == "clean") for kind in VISIBLE_KINDS}
        assert all(known.values())
        assert quality == 1

    def test_a_mixture_has_all_its_labels_and_the_worst_decides_the_quality(self):
        labels, _, quality = samples_of({"haze": 0.3, "jpeg": 0.7})
        assert {kind for kind, present in labels.items() if present} == {"haze", "jpeg"}
        assert quality == pytest.approx(0.3)

    def test_what_a_recording_may_show_is_left_out_until_it_is_made(self):
        _, known, _ = samples_of({}, unknown={"noise"})
        assert not known["noise"]
        labels, known, _ = samples_of({"noise": 0.5}, unknown={"noise"})
        assert labels["noise"]
        assert known["noise"]

    def test_a_night_behind_a_veil_may_not_be_dark(self):
        labels, known, _ = samples_of({}, present={"low_light": 0.4})
        assert labels["low_light"]
        assert not labels["clean"]
        assert known["low_light"]
        _, known, _ = samples_of({"haze": 0.5}, present={"low_light": 0.4})
        assert not known["low_light"]

    def test_nights_of_recordings_are_known_by_name(self):
        assert native("roadscene/val/FLIR_05893")[0] == {"low_light": 0.4}
        assert native("roadscene/val/FLIR_00060")[0] == {}
        assert native("data/msrs/00012N")[0] == {"low_light": 0.4}
        assert native("data/msrs/00012D") == ({}, frozenset())

    def test_synthetic_scenes_bring_their_truth(self):
        found = synthetic_bases((1,), per_scene=1, scenes=("day", "night"))
        assert [set(entry.present) for entry in found] == [set(), {"low_light"}]
        assert found[1].unknown == {"noise"}
        assert found[1].visible.shape == (480, 640, 3)
        assert found[1].thermal.shape == (480, 640)


class TestScores:
    def test_average_precision_by_hand(self):
        # Ranked hits at 1 and 3 of 4: (1/1 + 2/3) / 2.
        found, labels = torch.tensor([0.9, 0.8, 0.7, 0.1]), torch.tensor([1.0, 0.0, 1.0, 0.0])
        assert average_precision(found, labels) == pytest.approx((1 + 2 / 3) / 2)
        assert np.isnan(average_precision(found, torch.zeros(4)))

    def test_calibration_error_by_hand(self):
        # Two at 0.95, one of them right: |0.95 - 0.5|; two at 0.25, none: 0.25. Mean over four.
        found, labels = torch.tensor([0.95, 0.95, 0.25, 0.25]), torch.tensor([1.0, 0.0, 0.0, 0.0])
        assert calibration_error(found, labels) == pytest.approx((2 * 0.45 + 2 * 0.25) / 4)

    def test_confusion_counts_single_degradations_only(self):
        kinds = ("clean", "haze", "rain")
        found = np.array([[0.9, 0.1, 0.1], [0.2, 0.3, 0.8], [0.1, 0.9, 0.2], [0.1, 0.9, 0.8]])
        done = [{}, {"haze": 0.5}, {"haze": 0.5}, {"haze": 0.5, "rain": 0.5}]
        table = confusion(found, done, kinds)
        assert table.tolist() == [[1, 0, 0], [0, 0.5, 0.5], [0, 0, 0]]

    def test_platt_undoes_a_known_distortion(self):
        """Labels drawn with probability sigmoid(2 x - 1) give slope 2 and offset -1 back."""
        generator = torch.Generator().manual_seed(0)
        logits = 3 * torch.randn(10_000, generator=generator)
        labels = (torch.rand(10_000, generator=generator) < torch.sigmoid(2 * logits - 1)).float()
        slope, offset = platt(logits, labels)
        assert slope == pytest.approx(2, abs=0.2)
        assert offset == pytest.approx(-1, abs=0.15)


class TestTraining:
    def test_samples_depend_on_seed_and_number_only(self, folder):
        bases = load_bases([folder])
        first, second = (make_samples(bases, "thermal", range(count), 5) for count in (3, 5))
        assert torch.equal(first.statistics, second.statistics[:3])
        assert torch.equal(first.labels, second.labels[:3])
        assert first.labels.shape == (3, len(THERMAL_KINDS))

    def test_scenes_are_never_split(self, folder):
        kept, held = split(load_bases([folder]))
        assert len(held) == 2
        assert not {entry.scene for entry in kept} & {entry.scene for entry in held}

    def test_losses_fall(self, folder):
        losses = []
        samples = make_samples(load_bases([folder]), "visible", range(24), 0)
        fit("visible", samples, PriorRecipe(steps=30, batch=8, crops=1), 0, losses.append)
        assert len(losses) == 30
        assert np.mean(losses[-6:]) < 0.9 * losses[0]

    def test_a_tiny_run_can_be_loaded(self, folder, tmp_path):
        from fusion_core.priors.embedded import EmbeddedProvider

        recipe = PriorRecipe(samples=24, held_out=12, steps=4, batch=8, crops=1, seeds=())
        training = PriorTraining(recipe, load_bases([folder]), tmp_path / "out", 0)
        calls = []
        training.run(lambda: calls.append(1))
        assert len(calls) == training.step == training.steps == 4 + 2
        picture = np.full((90, 120, 3), 128, np.uint8)
        found = EmbeddedProvider(training.finish()).assess(picture, None)
        assert set(found.visible) == set(VISIBLE_KINDS)

    def test_a_folder_without_pairs_is_named(self, tmp_path):
        with pytest.raises(SourceError, match="no pairs"):
            load_bases([tmp_path])


@pytest.mark.data
class TestTestSet:
    def test_the_checksum_of_version_1(self, recordings):
        assert testset.checksum(recordings) == testset.CHECKSUM

    def test_every_kind_appears_alone_with_every_severity(self, recordings):
        found = list(testset.cases(recordings))
        assert len({(c.folder, c.stem) for c in found}) == sum(testset.FOLDERS.values())
        for modality, kinds in (("visible", VISIBLE_KINDS), ("thermal", THERMAL_KINDS)):
            alone = [
                c.severities for c in found if c.modality == modality and len(c.severities) == 1
            ]
            told = {(kind, s) for entry in alone for kind, s in entry.items()}
            assert told == {(kind, s) for kind in kinds[1:] for s in testset.SEVERITIES}
            mixed = [
                c.severities for c in found if c.modality == modality and len(c.severities) > 1
            ]
            assert all(entry in mixed for entry in testset.MIXTURES[modality])
