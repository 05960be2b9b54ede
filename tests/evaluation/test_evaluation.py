"""Scoring of folders: what is read, what is refused, what is written."""

import json
import math

import cv2
import numpy as np
import pytest

from fusion_core.errors import EncodingError, SourceError, UsageError
from fusion_lab.data import dataset_name, list_pairs, read_example
from fusion_lab.evaluation import (
    DEFAULT_METRICS,
    Evaluation,
    FolderMethod,
    ImageScores,
    MethodScores,
    baseline_methods,
    evaluate,
    write_json,
)
from fusion_lab.metrics import HEADLINE, compute_all, to_gray


def picture(seed, shape=(60, 80)):
    noise = np.random.default_rng(seed).normal(size=shape)
    smooth = cv2.GaussianBlur(noise, (0, 0), 1.5)
    smooth = (smooth - smooth.min()) / (smooth.max() - smooth.min())
    return np.round(255 * smooth).astype(np.uint8)


def colour(seed):
    return np.dstack([picture(seed), picture(seed + 100), picture(seed + 200)])


def write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    lossless = [cv2.IMWRITE_WEBP_QUALITY, 101] if path.suffix == ".webp" else []
    bgr = image[:, :, ::-1] if image.ndim == 3 else image
    assert cv2.imwrite(str(path), bgr, lossless)


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "night"
    for seed, stem in enumerate(["b", "a", "c"]):
        write(folder / "vi" / f"{stem}.png", colour(seed))
        write(folder / "ir" / f"{stem}.bmp", picture(seed + 50))
    return folder


@pytest.fixture
def fused(tmp_path):
    folder = tmp_path / "ours"
    for seed, stem in enumerate(["b", "a", "c"]):
        write(folder / f"{stem}.webp", colour(seed + 20))
    return folder


def test_scores_are_those_of_the_gray_pictures(data, fused):
    result = evaluate("night", list_pairs([data]), [FolderMethod.parse(str(fused))])
    (scores,) = result.methods
    assert scores.method == "ours"
    assert [s.image for s in scores.per_image] == ["a", "b", "c"]
    # Stem "a" was written with seed 1.
    expected = compute_all(to_gray(colour(21)), (picture(51), to_gray(colour(1))), DEFAULT_METRICS)
    assert scores.per_image[0].metrics == expected
    mean = np.mean([s.metrics["SD"] for s in scores.per_image])
    assert scores.metrics["SD"] == pytest.approx(mean)


def test_convention_pictures_are_read_as_rgb(data):
    pair = read_example(list_pairs([data])[0])
    assert np.array_equal(pair.first, colour(1))
    assert np.array_equal(pair.second, picture(51))


def test_gray_visible_and_colour_thermal_files_are_taken(tmp_path):
    write(tmp_path / "vi" / "x.png", picture(1))
    write(tmp_path / "ir" / "x.png", np.dstack([picture(2)] * 3))
    pair = read_example(list_pairs([tmp_path])[0])
    assert np.array_equal(to_gray(pair.first), picture(1))
    assert np.array_equal(pair.second, picture(2))


def test_alpha_is_left_out(tmp_path, data):
    opaque = cv2.cvtColor(colour(20)[:, :, ::-1], cv2.COLOR_BGR2BGRA)
    assert cv2.imwrite(str(tmp_path / "a.png"), opaque)
    pair = read_example(list_pairs([data])[0])
    assert np.array_equal(FolderMethod.parse(str(tmp_path)).fuse(pair), colour(20))


def test_one_method_is_written_flat(tmp_path, data, fused):
    target = tmp_path / "out" / "scores.json"
    result = evaluate("night", list_pairs([data]), [FolderMethod.parse(str(fused))])
    write_json(target, result.as_dict())
    written = json.loads(target.read_text())
    assert written["dataset"] == "night"
    assert written["pairs"] == 3
    assert set(written["metrics"]) == {*HEADLINE, "NABF"}
    assert [row["image"] for row in written["per_image"]] == ["a", "b", "c"]
    assert written["per_image"][0]["EN"] > 0


def test_several_methods_are_written_as_a_list_with_ranks(tmp_path, data, fused):
    methods = [FolderMethod.parse(f"net={fused}"), *baseline_methods()]
    target = tmp_path / "scores.json"
    write_json(target, evaluate("night", list_pairs([data]), methods, workers=2).as_dict())
    written = json.loads(target.read_text())
    assert [m["method"] for m in written["methods"]] == [
        "net",
        "max",
        "mean",
        "laplacian",
        "guided",
    ]
    for entry in written["methods"]:
        assert entry["dataset"] == "night"
        assert entry["pairs"] == 3
        assert len(entry["per_image"]) == 3
    # The mean of the mean ranks of five methods is 3, whatever the scores.
    assert np.mean([m["mean_rank"] for m in written["methods"]]) == pytest.approx(3.0)


def test_undefined_values_are_left_out_of_means_and_written_as_null(tmp_path, data):
    flat = np.full((60, 80, 3), 70, np.uint8)
    write(data / "vi" / "a.png", flat)  # SCD of a constant source is undefined
    result = evaluate("night", list_pairs([data]), [baseline_methods()[0]], ["SCD"])
    (scores,) = result.methods
    values = [s.metrics["SCD"] for s in scores.per_image]
    assert math.isnan(values[0])
    assert scores.metrics["SCD"] == pytest.approx(np.mean(values[1:]))
    write_json(tmp_path / "s.json", result.as_dict())
    assert json.loads((tmp_path / "s.json").read_text())["per_image"][0]["SCD"] is None


def scored(method, **metrics):
    return MethodScores(method, (ImageScores("x", metrics),), metrics)


def test_mean_ranks_by_hand():
    result = Evaluation(
        "d",
        (
            scored("p", EN=3.0, SD=1.0, NABF=0.0),
            scored("q", EN=2.0, SD=1.0, NABF=0.5),
            scored("r", EN=1.0, SD=math.nan, NABF=0.5),
        ),
    )
    # EN: 1 2 3. SD: p and q share ranks 1 and 2, undefined is last. NABF is no headline metric.
    assert result.mean_ranks() == {"p": 1.25, "q": 1.75, "r": 3.0}


def test_progress_is_told_after_each_picture(data, fused):
    calls = []
    methods = [FolderMethod.parse(str(fused)), baseline_methods()[0]]
    evaluate("n", list_pairs([data]), methods, ["EN"], on_scored=lambda: calls.append(1))
    assert len(calls) == 6


def test_dataset_names(tmp_path):
    assert dataset_name([tmp_path / "msrs"]) == "msrs"
    assert dataset_name([tmp_path / "roadscene" / "val"]) == "roadscene/val"
    assert dataset_name([tmp_path / "a", tmp_path / "b"]) == "a+b"


def test_several_folders_are_pooled(data, tmp_path):
    other = tmp_path / "day"
    write(other / "vi" / "z.png", colour(9))
    write(other / "ir" / "z.png", picture(59))
    assert [p.stem for p in list_pairs([data, other])] == ["a", "b", "c", "z"]
    with pytest.raises(SourceError, match="'a' occurs in two"):
        list_pairs([data, data])


def test_a_picture_without_partner_is_named(data):
    (data / "ir" / "b.bmp").unlink()
    with pytest.raises(SourceError, match="'b' has no partner in ir/"):
        list_pairs([data])


def test_missing_and_empty_folders_are_named(tmp_path, data):
    with pytest.raises(SourceError, match="no such folder"):
        list_pairs([tmp_path / "nowhere"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="no images"):
        FolderMethod.parse(str(tmp_path / "empty"))
    write(data / "vi" / "a.jpg", colour(1))
    with pytest.raises(SourceError, match=r"a\.jpg and a\.png share a stem"):
        list_pairs([data])


def test_a_fused_picture_of_another_size_is_refused(data, fused):
    write(fused / "b.webp", picture(3, (64, 80)))
    with pytest.raises(SourceError, match=r"b\.webp: 80x64, its sources are 80x60"):
        evaluate("n", list_pairs([data]), [FolderMethod.parse(str(fused))])


def test_a_missing_fused_picture_is_named(data, fused):
    (fused / "c.webp").unlink()
    with pytest.raises(SourceError, match="no fused image for 'c'"):
        evaluate("n", list_pairs([data]), [FolderMethod.parse(str(fused))])


def test_sources_of_different_size_are_refused(data):
    write(data / "ir" / "a.bmp", picture(3, (30, 40)))
    with pytest.raises(SourceError, match=r"ir/a\.bmp: 40x30, but .*vi/a\.png is 80x60"):
        read_example(list_pairs([data])[0])


def test_files_that_are_no_8_bit_images_are_named(data):
    cv2.imwrite(str(data / "vi" / "d.png"), picture(1).astype(np.uint16))
    (data / "ir" / "d.bmp").write_bytes(b"BM nothing")
    paths = list_pairs([data])[-1]
    with pytest.raises(EncodingError, match=r"d\.png: uint16"):
        read_example(paths)
    write(data / "vi" / "d.png", colour(1))
    with pytest.raises(SourceError, match=r"d\.bmp: cannot be decoded"):
        read_example(paths)


def test_bad_requests_are_usage_errors(data, fused):
    pairs = list_pairs([data])
    method = FolderMethod.parse(str(fused))
    with pytest.raises(UsageError, match="two methods are named 'ours'"):
        evaluate("n", pairs, [method, method])
    with pytest.raises(UsageError, match="0 methods"):
        evaluate("n", pairs, [])
    with pytest.raises(UsageError, match="'NOPE'"):
        evaluate("n", pairs, [method], ["NOPE"])
    with pytest.raises(UsageError, match="NAME=DIR"):
        FolderMethod.parse(f"={fused}")
