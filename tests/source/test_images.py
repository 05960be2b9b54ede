import numpy as np
import pytest

from fusion_core.errors import SourceError
from fusion_core.source import open_source
from fusion_core.source.image_files import natural_key


def test_names_sort_as_people_count(make_folder, pictures):
    images = dict(zip(["f10", "f9", "F11", "f1"], pictures(4), strict=True))
    folder = make_folder("vi", images)
    with open_source(visible=folder) as source:
        frames = list(source.frames())
    assert source.total == 4
    assert [frame.name for frame in frames] == ["f1", "f9", "f10", "F11"]
    assert [frame.sequence for frame in frames] == [0, 1, 2, 3]
    # 30 frames per second in whole nanoseconds.
    assert [frame.stamp_ns for frame in frames] == [0, 33333333, 66666667, 100000000]
    np.testing.assert_array_equal(frames[0].image, images["f1"])


@pytest.mark.parametrize(
    "names", [["1", "02", "3"], ["a1b2", "a1b10"], ["img", "img1"], ["2a", "10", "b"]]
)
def test_natural_key_orders_mixed_names(names):
    names_mixed = [*names[1:], names[0]]
    assert sorted(names_mixed, key=natural_key) == names


def test_convention_long_digits_are_nanoseconds(make_folder, pictures):
    stamps = [1_700_000_000_000_000_123, 1_700_000_000_033_333_456]
    folder = make_folder("vi", dict(zip(map(str, stamps), pictures(2), strict=True)))
    with open_source(visible=folder) as source:
        assert [frame.stamp_ns for frame in source.frames()] == stamps


@pytest.mark.parametrize("ending", ["_rgb", "-visible", "_T", " W"])
def test_times_before_the_stream_of_a_name(make_folder, pictures, ending):
    names = [f"1560000083.90{ending}", f"1560000084.15{ending}"]
    folder = make_folder("vi", dict(zip(names, pictures(2), strict=True)))
    with open_source(visible=folder) as source:
        stamps = [frame.stamp_ns for frame in source.frames()]
    assert stamps == [1_560_000_083_900_000_000, 1_560_000_084_150_000_000]


def test_raw_thermal_keeps_16_bits(make_folder):
    counts = np.random.default_rng(0).integers(0, 65536, (12, 16)).astype(np.uint16)
    for suffix in (".png", ".tiff"):
        folder = make_folder(f"ir{suffix}", {"0": counts}, suffix)
        with open_source(thermal=folder) as source:
            (frame,) = source.frames()
        assert frame.encoding == "mono16"
        np.testing.assert_array_equal(frame.image, counts)


def test_folders_pair_by_name_where_one_lacks_a_file(make_folder, pictures):
    """Counting each folder for itself would shift every pair after the missing file."""
    names = [f"{number:03d}" for number in range(6)]
    visible = make_folder("vi", dict(zip(names, pictures(6), strict=True)))
    thermal = make_folder("ir", dict(zip(names, pictures(6, seed=1), strict=True)))
    (thermal / "002.png").unlink()
    with open_source(visible=visible, thermal=thermal) as source:
        stamps = {(frame.modality, frame.name): frame.stamp_ns for frame in source.frames()}
    for name in names:
        if name != "002":
            assert stamps["visible", name] == stamps["thermal", name]


def test_torn_image_costs_itself_only(make_folder, pictures, caplog):
    folder = make_folder("vi", {f"{n}": image for n, image in enumerate(pictures(5))})
    torn = folder / "2.png"
    torn.write_bytes(torn.read_bytes()[:500])
    with open_source(visible=folder) as source:
        assert [frame.name for frame in source.frames()] == ["0", "1", "3", "4"]
    assert source.drop_log.by_cause() == {"corrupt": 1}
    assert source.read == {"visible": 4}
    assert "2.png: left out" in caplog.text


def test_folder_in_which_no_image_can_be_read_is_an_error(make_folder, pictures):
    folder = make_folder("vi", {f"{n}": image for n, image in enumerate(pictures(2))})
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes()[:500])
    with (
        open_source(visible=folder) as source,
        pytest.raises(SourceError, match=r"0\.png.*none of 2 visible images"),
    ):
        list(source.frames())


def test_empty_folder_names_what_it_expected(tmp_path):
    (tmp_path / "vi").mkdir()
    (tmp_path / "vi" / "notes.txt").write_text("")
    with pytest.raises(SourceError, match=r"vi: holds no images.*\.png"):
        open_source(visible=tmp_path / "vi")
