"""Images of two folders by their names."""

import logging

import pytest

from fusion_core.cli.main import main
from fusion_core.errors import SourceError, UsageError
from fusion_core.source import open_source
from fusion_core.source.image_pairing import PairingSlot, places_by_name
from fusion_core.sync import SyncConfig, Synchronizer

PLACES = [PairingSlot(index) for index in range(4)]


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
    first, second = places_by_name(visible, thermal)
    assert first[0] == second[0]
    assert first[1].index != second[1].index
    assert "2 of 4 images have no partner" in caplog.text


def test_equal_names_need_no_warning(caplog):
    assert places_by_name(["a1", "a2", "b1"], ["a1", "a2", "b1"]) == (PLACES[:3], PLACES[:3])
    assert not caplog.records


def test_order_follows_the_numbers_of_a_slower_camera():
    first, second = places_by_name(["rgb9", "rgb10", "rgb11", "rgb12"], ["ir9", "ir11"])
    assert first == PLACES[:4]
    assert second == [PLACES[0], PLACES[2]]


@pytest.mark.parametrize(
    ("visible", "thermal"),
    [
        ((1, 2, 3, 4, 6), (1, 2, 4, 5, 6)),
        ((1, 2, 3, 4, 5, 9), (1, 2, 4, 5, 9)),
        ((1, 2, 5, 9), (1, 2, 3, 5, 9)),
        ((2, 3, 4, 7, 8), (1, 2, 4, 7, 8)),
        ((1, 2, 3), (1, 3, 4)),
    ],
)
def test_images_are_fused_with_their_own_partner_only(make_folder, pictures, visible, thermal):
    folders = [
        make_folder(
            word, {f"{n}_{word}": image for n, image in zip(numbers, pictures(9), strict=False)}
        )
        for word, numbers in (("rgb", visible), ("ir", thermal))
    ]
    sync = Synchronizer(SyncConfig())
    with open_source(visible=folders[0], thermal=folders[1]) as source:
        pairs = [pair for frame in source.frames() for pair in sync.push(frame)]
    pairs += sync.flush()
    fused = [(pair.visible.name, pair.thermal.name) for pair in pairs]
    common = [n for n in visible if n in thermal]
    assert fused == [(f"{n}_rgb", f"{n}_ir") for n in common]
    alone = len(visible) + len(thermal) - 2 * len(common)
    assert source.drop_log.by_cause() == {"no_partner": alone}
    assert source.total == len(common)


def test_a_number_that_repeats_is_no_key():
    visible = ["a_1_rgb", "a_2_rgb", "b_1_rgb", "b_3_rgb"]
    thermal = ["a_2_ir", "b_1_ir", "b_2_ir", "b_3_ir"]
    first, second = places_by_name(visible, thermal)
    assert [place.index for place in first] == [0, 1, 2, 4]
    assert [place.index for place in second] == [1, 2, 3, 4]


def test_nothing_in_common_pairs_by_position_with_a_warning(caplog):
    caplog.set_level(logging.WARNING)
    assert places_by_name(["p", "q"], ["x", "y"]) == (PLACES[:2], PLACES[:2])
    assert "paired by position" in caplog.text


def test_nothing_in_common_and_other_lengths_are_refused():
    with pytest.raises(SourceError, match=r"share no part or number \(p, x\)"):
        places_by_name(["p", "q", "r"], ["x", "y"])


def test_patterns_take_both_streams_from_one_folder(make_folder, pictures):
    names = ["DJI_1_T", "DJI_1_W", "DJI_2_T", "DJI_2_W", "DJI_3_W", "DJI_4_T", "DJI_4_W"]
    folder = make_folder("flight", dict(zip([*names, "._DJI_9_T"], pictures(8), strict=True)))
    with open_source(visible=folder / "*_W.png", thermal=f"{folder}/*_T.png") as source:
        stamps = {frame.name: frame.stamp_ns for frame in source.frames()}
    assert set(stamps) == set(names) - {"DJI_3_W"}
    for number in (1, 2, 4):
        assert stamps[f"DJI_{number}_T"] == stamps[f"DJI_{number}_W"]


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
