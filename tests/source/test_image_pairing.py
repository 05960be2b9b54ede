"""Images of two folders by their names."""

import logging

import pytest

from fusion_core.cli.main import main
from fusion_core.errors import SourceError, UsageError
from fusion_core.source import open_source
from fusion_core.source.image_pairing import positions_by_name


@pytest.mark.parametrize(
    ("visible", "thermal"),
    [
        pytest.param(["0001_rgb", "0002_rgb"], ["0001_thermal", "0003_thermal"], id="words-behind"),
        pytest.param(["rgb_1", "rgb_2"], ["thermal_001", "thermal_003"], id="words-before"),
        pytest.param(["DJI_0001_W", "DJI_0002_W"], ["DJI_0001_T", "DJI_0003_T"], id="drone"),
        pytest.param(["00001v", "00002v"], ["00001i", "00003i"], id="letters-behind"),
        pytest.param(["VIS_Marne_01", "VIS_x_01"], ["IR_Marne_01", "IR_z_01"], id="texts"),
        pytest.param(["left-5", "left-7"], ["right-05", "right-09"], id="changing-number"),
        pytest.param(["a 7 cam", "a 8 cam"], ["7", "9"], id="number-alone"),
        pytest.param(
            ["DJI_20240501120000_0001_V", "DJI_20240501120004_0002_V"],
            ["DJI_20240501120001_0001_T", "DJI_20240501120009_0003_T"],
            id="dates-that-differ",
        ),
    ],
)
def test_the_first_images_share_a_place_and_no_others_do(visible, thermal, caplog):
    first, second = positions_by_name(visible, thermal)
    assert first[0] == second[0]
    assert first[1] != second[1]
    assert "2 of 4 images have no partner" in caplog.text


def test_equal_names_need_no_warning(caplog):
    assert positions_by_name(["a1", "a2", "b1"], ["a1", "a2", "b1"]) == ([0, 1, 2], [0, 1, 2])
    assert not caplog.records


def test_order_follows_the_numbers():
    first, second = positions_by_name(["rgb9", "rgb10", "rgb11"], ["ir9", "ir11"])
    assert first == [0, 1, 2]
    assert second == [0, 2]


def test_a_number_that_repeats_is_no_key():
    visible = ["a_1_rgb", "a_2_rgb", "b_1_rgb"]
    thermal = ["a_2_ir", "b_1_ir", "b_2_ir"]
    first, second = positions_by_name(visible, thermal)
    assert first[1:] == second[:2]
    assert len(set(first) | set(second)) == 4


def test_nothing_in_common_pairs_by_position_with_a_warning(caplog):
    caplog.set_level(logging.WARNING)
    assert positions_by_name(["p", "q"], ["x", "y"]) == ([0, 1], [0, 1])
    assert "paired by position" in caplog.text


def test_nothing_in_common_and_other_lengths_are_refused():
    with pytest.raises(SourceError, match=r"share no part or number \(p, x\)"):
        positions_by_name(["p", "q", "r"], ["x", "y"])


def test_patterns_take_both_streams_from_one_folder(make_folder, pictures):
    names = ["DJI_1_T", "DJI_1_W", "DJI_2_W", "DJI_3_T", "DJI_3_W", "._DJI_9_T"]
    folder = make_folder("flight", dict(zip(names, pictures(6), strict=True)))
    with open_source(visible=folder / "*_W.png", thermal=f"{folder}/*_T.png") as source:
        stamps = {frame.name: frame.stamp_ns for frame in source.frames()}
    assert set(stamps) == set(names[:5])
    assert stamps["DJI_1_T"] == stamps["DJI_1_W"]
    assert stamps["DJI_3_T"] == stamps["DJI_3_W"] > stamps["DJI_2_W"]


@pytest.mark.parametrize("spelling", ["{}", "{}/", "{}/../flight", "{}/*.png"])
def test_the_same_images_twice_are_refused(make_folder, pictures, spelling):
    folder = make_folder("flight", dict(zip(["a_T", "a_W"], pictures(2), strict=True)))
    with pytest.raises(UsageError, match=r"in the visible and in the thermal input.*pattern"):
        open_source(visible=folder, thermal=spelling.format(folder))


def test_a_pattern_without_images_is_named(tmp_path):
    with pytest.raises(SourceError, match=r"\*_W\.JPG: matches no images"):
        open_source(visible=tmp_path / "*_W.JPG")


def test_one_image_per_stream(make_folder, pictures):
    folder = make_folder("pair", dict(zip(["left", "warm"], pictures(2), strict=True)))
    with open_source(visible=folder / "left.png", thermal=folder / "warm.png") as source:
        assert [frame.stamp_ns for frame in source.frames()] == [0, 0]
    assert source.read == {"visible": 1, "thermal": 1}


def test_results_are_not_written_over_the_images_of_a_pattern(make_folder, pictures):
    folder = make_folder("flight", dict(zip(["a_T", "a_W"], pictures(2), strict=True)))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    streams = ["--visible", f"{folder}/*_W.png", "--thermal", f"{folder}/*_T.png"]
    assert main(["run", *streams, "--out", f"{folder}/"]) == 2
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
