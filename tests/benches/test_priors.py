"""The bench of the prior provider on the synthetic street."""

import cv2
import numpy as np
import pytest
from street import street

from fusion_core.priors import VISIBLE_KINDS
from fusion_core.priors.checkpoint import SHIPPED, load_prior
from fusion_core.priors.embedded import EmbeddedProvider
from fusion_core.types import Frame
from fusion_lab.benches.priors.accuracy import read_testset_rows, score_network
from fusion_lab.benches.priors.bench import PriorsResult, draw_degradations
from fusion_lab.benches.priors.cost import measure_cost, measure_refresh
from fusion_lab.benches.priors.recordings import (
    draw_curve,
    likely_kinds,
    night_probabilities,
    smoke_curve,
)
from fusion_lab.data import aligned_pair
from fusion_lab.training.degradations import testset


@pytest.fixture(scope="module")
def provider():
    return EmbeddedProvider()


@pytest.fixture
def folder(tmp_path):
    """Four pairs: one by day, one at night, stems as in msrs."""
    for stem, scene in (("1D", "day"), ("2N", "night")):
        visible, thermal, _ = street(scene)
        for name, image in (("vi", visible[..., ::-1]), ("ir", thermal)):
            (tmp_path / "set" / name).mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(tmp_path / "set" / name / f"{stem}.png"), image)
    return tmp_path / "set"


def test_scores_of_the_network_on_test_pictures(folder, monkeypatch):
    monkeypatch.setattr("fusion_lab.benches.priors.accuracy.FOLDERS", {"set": 2})
    monkeypatch.setattr(testset, "FOLDERS", {"set": 2})
    rows, severities = read_testset_rows(folder.parent, "visible")
    assert len(rows) == len(severities) == 2 * (len(VISIBLE_KINDS) + 2)
    scores = score_network(load_prior(SHIPPED)[0], "visible", rows, severities)
    assert scores.pictures == len(rows)
    kinds = scores.kinds
    assert next(iter(kinds)) == "clean"
    assert kinds["snow"].average_precision > 0.5
    assert all(s.present + s.absent <= len(rows) for s in kinds.values())
    assert all(0 <= s.error_after <= 1 for s in kinds.values())
    assert all(sum(row.values()) == pytest.approx(1) for row in scores.confusion.values() if row)
    for table in PriorsResult(testset="1", scores=(scores,)).tables():
        table.markdown()


def test_night_is_darker_than_day(folder, provider):
    found = night_probabilities(folder, provider)
    assert list(found) == ["D", "N"]
    assert found["N"][0] > 0.5 > found["D"][0]
    rows = dict(likely_kinds(folder, provider).rows)
    assert "low_light" in rows["2N"]


def test_smoke_over_a_recording(provider, tmp_path):
    smoke, day = street("smoke")[0], street("day")[0]
    frames = [Frame(n, "visible", smoke if n < 5 else day, "rgb8", sequence=n) for n in range(10)]
    frames.insert(1, Frame(0, "thermal", street()[1], "mono8"))
    curve, thumbnails = smoke_curve(frames, provider, every=5, rate_hz=10)
    assert curve.seconds == (0.0, 0.5)
    assert curve.veiled[0] > curve.veiled[1]
    assert len(thumbnails) == 2
    draw_curve(curve, thumbnails, tmp_path / "curve.png")
    assert cv2.imread(str(tmp_path / "curve.png")) is not None


def test_costs_and_refreshes_are_reported(tmp_path):
    visible, thermal, _ = street()
    pair = aligned_pair(visible, thermal)
    cost = measure_cost(pair, calls=2, observations=3)
    assert [timing.count for timing in cost.values()] == [2, 3]
    refresh = measure_refresh(pair, frames=95, delay_s=0.01)
    assert refresh.refreshes >= 1
    assert refresh.without.count + refresh.during.count == 35
    tables = PriorsResult(cost=cost, refresh=refresh).tables()
    assert len([table.markdown() for table in tables]) == 2
    large = [cv2.resize(picture, (640, 480)) for picture in (visible, thermal)]
    draw_degradations(aligned_pair(*large), tmp_path / "sheet.jpg")
    assert np.asarray(cv2.imread(str(tmp_path / "sheet.jpg"))).shape[1] == 1200
