"""The bench of restoring on one picture of the synthetic street."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from street import street

from fusion_core.models import load_model
from fusion_core.priors import assess_pair
from fusion_core.priors.embedded import EmbeddedProvider
from fusion_lab.benches.pictures import aligned_pair
from fusion_lab.benches.restoring.comparison import cascade, compare, score
from fusion_lab.benches.restoring.pictures import (
    GROUPS,
    DegradedPicture,
    degrade_picture,
    group_of,
    read_degraded,
)
from fusion_lab.benches.restoring.prototypes import draw_prototypes, measure_prototypes
from fusion_lab.training.degradations import testset


@pytest.fixture(scope="module")
def pictures():
    """The street as it is, and in haze."""
    visible, thermal, _ = street()
    shown = {"clean": visible, "haze": degrade_picture(visible, {"haze": 0.8}, 1)}
    pairs = {group: aligned_pair(picture, thermal) for group, picture in shown.items()}
    provider = EmbeddedProvider()
    return [
        DegradedPicture(group, pair, assess_pair(provider, pair), visible, thermal)
        for group, pair in pairs.items()
    ]


def test_the_clean_picture_scores_best(pictures):
    """PSNR of the chroma from the definition; 1e-3 is the least error that counts."""
    clean, haze = pictures
    assert score(clean.visible, clean).chroma_psnr_db == pytest.approx(10 * np.log10(255**2 / 1e-3))
    chroma = [
        cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)[..., 1:].astype(float)
        for image in (haze.pair.visible, haze.visible)
    ]
    by_hand = -20 * np.log10(np.sqrt(np.mean((chroma[0] - chroma[1]) ** 2)) / 255)
    assert score(haze.pair.visible, haze).chroma_psnr_db == pytest.approx(by_hand)
    assert score(haze.visible, haze).ssim > score(haze.pair.visible, haze).ssim


def test_methods_are_compared_per_group(pictures):
    methods = {
        "visible": lambda pair, _: pair.visible,
        "restored": cascade(lambda *_: pictures[0].visible, lambda pair, _: pair.visible),
    }
    comparison = compare(methods, pictures)
    assert comparison.counts == {"clean": 1, "haze": 1}
    seen, restored = comparison.means["visible"], comparison.means["restored"]
    assert seen["clean"] == restored["clean"]
    assert restored["haze"].psnr_db > seen["haze"].psnr_db
    for table in comparison.tables():
        table.markdown()


def test_inner_values_of_the_network(pictures, tmp_path):
    figures = measure_prototypes(load_model("mdaif"), pictures)
    assert set(figures.gates) == {"clean", "haze"}
    assert figures.restored_db["haze"] > figures.degraded_db["haze"]
    for entry in figures.balance:
        assert sum(entry.shares) == pytest.approx(1, abs=1e-3)
    assert [entry.stride for entry in figures.balance] == [4, 8, 16, 32]
    for table in figures.tables():
        table.markdown()
    draw_prototypes(figures, tmp_path / "deep" / "p.png")
    assert cv2.imread(str(tmp_path / "deep" / "p.png")) is not None


def test_cases_of_the_test_set_are_read_with_their_references(tmp_path, monkeypatch):
    visible, thermal, _ = street()
    for folder, image in (("vi", visible[..., ::-1]), ("ir", thermal)):
        (tmp_path / "set" / folder).mkdir(parents=True)
        for stem in ("a", "b"):
            assert cv2.imwrite(str(tmp_path / "set" / folder / f"{stem}.png"), image)
    monkeypatch.setattr(testset, "FOLDERS", {"set": 2})
    found = list(read_degraded(tmp_path, every=2))
    groups = [picture.group for picture in found]
    assert groups.count("clean") == 1  # one of the two pairs
    assert set(groups) <= set(GROUPS)
    clean = found[groups.index("clean")]
    np.testing.assert_array_equal(clean.visible, visible[3:, 3:])
    np.testing.assert_array_equal(clean.pair.visible, clean.visible)
    np.testing.assert_array_equal(clean.thermal, thermal[3:, 3:])
    assert (found[groups.index("snow")].pair.visible != clean.visible).any()


def test_cases_are_grouped_by_what_is_done_to_them():
    case = testset.Case("f", "s", "visible", {}, 0)
    assert group_of(case) == "clean"
    assert group_of(replace(case, severities={"rain": 0.5})) == "rain"
    assert group_of(replace(case, severities={"rain": 0.5, "noise": 0.1})) == "mixed"
