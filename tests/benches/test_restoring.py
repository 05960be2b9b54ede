"""The bench of restoring on one picture of the synthetic street."""

from dataclasses import replace

import cv2
import numpy as np
import onnx_networks as networks
import pytest
from street import street

from fusion_core.detection import Detector
from fusion_core.detection.labels import CLASSES
from fusion_core.models import load_model
from fusion_core.priors import assess_pair
from fusion_core.priors.embedded import EmbeddedProvider
from fusion_lab.benches.restoring.classical import (
    dehaze,
    equalise,
    remove_specks,
    remove_streaks,
)
from fusion_lab.benches.restoring.comparison import (
    FIGURES,
    OWN,
    RESTORED,
    Comparison,
    compare,
    score,
)
from fusion_lab.benches.restoring.finding import (
    RECORDED,
    SETS,
    SMOKE,
    WEATHERS,
    LabelledPicture,
    count_finds,
    read_labelled,
)
from fusion_lab.benches.restoring.methods import Method, cascade, mean_of_sources
from fusion_lab.benches.restoring.pictures import (
    GROUPS,
    DegradedPicture,
    clean_picture,
    degrade_picture,
    group_of,
    read_degraded,
)
from fusion_lab.benches.restoring.prototypes import draw_prototypes, measure_prototypes
from fusion_lab.data import BoxLabels, aligned_pair
from fusion_lab.training.degradations import testset


@pytest.fixture(scope="module")
def pictures():
    """The street as it is, and in haze."""
    visible, thermal, _ = street()
    provider = EmbeddedProvider()
    clean = clean_picture(visible, thermal, provider)
    shown = {"clean": visible, "haze": degrade_picture(visible, {"haze": 0.8}, 1)}
    pairs = {group: aligned_pair(picture, thermal) for group, picture in shown.items()}
    return [
        DegradedPicture(group, pair, assess_pair(provider, pair), clean)
        for group, pair in pairs.items()
    ]


@pytest.fixture
def colour_meter(tmp_path):
    """Finds a car in the middle where green is bright, a person where thermal is and green not."""
    metadata = {"names": "['red', 'car', 'blue', 'person']", "input": "pair", "conf": "0.6"}
    return Detector(networks.colour_meter(tmp_path / "pair.onnx", channels=4, metadata=metadata))


def show_visible(pair, _prior):
    return pair.visible


def test_the_clean_picture_scores_best(pictures):
    """PSNR of the chroma from the definition; 1e-3 is the least error that counts."""
    visible = Method(show_visible, show_visible)
    clean, haze = (
        dict(zip(FIGURES, score(visible, picture, picture.clean.visible), strict=True))
        for picture in pictures
    )
    largest = 10 * np.log10(255**2 / 1e-3)
    for what in (OWN, RESTORED):
        likeness = [value for name, value in clean.items() if name.endswith(what)]
        assert likeness == pytest.approx([largest, 1, 1, 1])
    assert all(haze[name] < clean[name] for name in FIGURES)

    chroma = [
        cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)[..., 1:].astype(float)
        for image in (pictures[1].pair.visible, pictures[1].clean.visible)
    ]
    by_hand = -20 * np.log10(np.sqrt(np.mean((chroma[0] - chroma[1]) ** 2)) / 255)
    assert haze[FIGURES[-1]] == pytest.approx(by_hand)
    assert clean[FIGURES[-1]] == pytest.approx(largest)


def test_methods_are_compared_per_group(pictures):
    clean = pictures[0].clean.visible
    methods = {"visible": Method(show_visible), "restored": cascade(lambda *_: clean, show_visible)}
    comparison = compare(methods, pictures)
    assert comparison.counts == {"clean": 1, "haze": 1}
    seen, restored = comparison.scores["visible"], comparison.scores["restored"]
    own = FIGURES.index(f"SSIM {OWN}")
    assert restored["haze"][0, own] == 1
    assert seen["haze"][0, own] < seen["clean"][0, own]
    assert np.isnan(seen["haze"][0, FIGURES.index(f"SSIM {RESTORED}")])
    for table in comparison.tables():
        table.markdown()


def test_means_spreads_and_the_first_methods_lead_are_printed():
    """By hand: means 20 and 19, deviations 1 and 0, leads 0 and 2 with a standard error of 1."""
    ours, theirs = (np.full((2, len(FIGURES)), np.nan) for _ in range(2))
    ours[:, 0], theirs[:, 0] = (19, 21), (19, 19)
    tables = Comparison({"haze": 2}, {"ours": {"haze": ours}, "theirs": {"haze": theirs}}).tables()
    cells = {(table.title, row[0]): row[1] for table in tables for row in table.rows}
    assert cells == {
        (FIGURES[0], "ours"): "20.00 ± 1.00",
        (FIGURES[0], "theirs"): "19.00 ± 0.00",
        (f"ours ahead by, {FIGURES[0]}", "theirs"): "1.00 ± 1.00",
    }


def test_the_mean_of_the_sources_is_a_row(pictures):
    """Expected values from the definition: half of each luma, the visible picture's chroma."""
    fused = mean_of_sources(pictures[0].pair, None)
    planes = cv2.cvtColor(pictures[0].clean.visible, cv2.COLOR_RGB2YCrCb).astype(int)
    expected = (planes[..., 0] + pictures[0].clean.thermal) / 2
    inner = (fused.min(axis=2) > 0) & (fused.max(axis=2) < 255)  # the colour fits there
    found = cv2.cvtColor(fused, cv2.COLOR_RGB2YCrCb).astype(int)
    assert np.abs(found[..., 0] - expected)[inner].max() <= 1.5
    assert np.abs(found[..., 1:] - planes[..., 1:])[inner].max() <= 2


def test_haze_made_by_its_own_model_is_removed_by_the_dark_channel():
    """I = J t + A (1 - t) with constant t (He, Sun, Tang 2009, equation 1) comes back as J."""
    rng = np.random.default_rng(0)
    clear = rng.integers(0, 230, (120, 160, 3)).astype(np.uint8)
    clear[:20] = 255  # the sky is the airlight
    hazy = np.rint(clear * 0.5 + 255 * 0.5).astype(np.uint8)
    before, after = (np.abs(p[60:].astype(int) - clear[60:]).mean() for p in (hazy, dehaze(hazy)))
    assert after < before / 3


def test_classical_restorers_do_what_they_are_for():
    faint = np.random.default_rng(0).normal(120, 4, (120, 160)).astype(np.uint8)
    faint = np.repeat(faint[..., None], 3, axis=2)
    assert equalise(faint).std() > 1.5 * faint.std()
    ramp = np.tile(np.linspace(100, 140, 160, dtype=np.uint8)[None, :, None], (120, 1, 3))
    specked = ramp.copy()
    specked[::12, ::12] = 255
    assert np.abs(remove_specks(specked).astype(int) - ramp).max() <= 2
    streaked = ramp.copy()
    streaked[20:90, 6::12] = 255
    assert np.abs(remove_streaks(streaked).astype(int) - ramp).max() <= 2


def test_inner_values_of_the_network(pictures, tmp_path):
    figures = measure_prototypes(load_model("mdaif"), pictures)
    assert set(figures.gates) == {"clean", "haze"}
    assert sum(figures.balance.shares) == pytest.approx(1, abs=1e-3)
    assert figures.activations["haze"].shape == (5, 3)
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
    np.testing.assert_array_equal(clean.clean.visible, visible[3:, 3:])
    np.testing.assert_array_equal(clean.pair.visible, clean.clean.visible)
    np.testing.assert_array_equal(clean.clean.thermal, thermal[3:, 3:])
    snow = found[groups.index("snow")]
    assert snow.clean is clean.clean
    assert (snow.pair.visible != clean.clean.visible).any()


def test_cases_are_grouped_by_what_is_done_to_them():
    case = testset.Case("f", "s", "visible", {}, 0)
    assert group_of(case) == "clean"
    assert group_of(replace(case, severities={"rain": 0.5})) == "rain"
    assert group_of(replace(case, severities={"rain": 0.5, "noise": 0.1})) == "mixed"


def test_the_detector_sees_what_is_restored_beside_thermal_and_what_is_fused_alone(
    colour_meter,
):
    """A car shows in green, a person in what is hot and not green: each view shows its own."""
    box = np.array([[16, 16, 48, 48]], np.float32)
    person = BoxLabels(box, np.array([CLASSES.index("person")]))
    car = person._replace(classes=np.array([CLASSES.index("vehicle")]))
    dark, green = np.zeros((64, 64, 3), np.uint8), np.full((64, 64, 3), (0, 200, 0), np.uint8)
    hot = np.full((64, 64), 200, np.uint8)
    provider = EmbeddedProvider()
    pictures = []
    for visible, thermal, labels in ((dark, hot, person), (green, np.zeros_like(hot), car)):
        pair = aligned_pair(visible, thermal)
        pictures.append(LabelledPicture("haze", pair, assess_pair(provider, pair), labels))
    method = Method(lambda *_: green, show_visible)
    found = count_finds({"rule": method}, iter(pictures), colour_meter)
    recalls = {
        view: [by_group["haze"][label].recall for label in ("person", "vehicle")]
        for view, by_group in found.scores.items()
    }
    assert found.counts == {"haze": 2}
    assert recalls == {"rule, restored and thermal": [1, 1], "rule, fused": [0, 1]}


def test_labelled_pairs_are_degraded_and_real_smoke_is_not(tmp_path):
    visible, thermal, _ = street()
    for name in (*SETS, str(SMOKE)):
        folder = tmp_path / name
        for side, image in (("vi", visible[..., ::-1]), ("ir", thermal)):
            (folder / side).mkdir(parents=True)
            assert cv2.imwrite(str(folder / side / "a.png"), image)
        (folder / "labels").mkdir()
        (folder / "labels" / "a.csv").write_text("label,x,y,w,h\nperson,10,10,20,40\n")
    found = list(read_labelled(tmp_path, every=2))
    assert [picture.group for picture in found] == [*WEATHERS, RECORDED]
    same = [np.array_equal(picture.pair.visible, visible) for picture in found]
    assert same == [False] * len(WEATHERS) + [True]
    assert all(picture.labels.boxes.tolist() == [[10, 10, 30, 50]] for picture in found)
