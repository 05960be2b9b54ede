"""Times in file names. Expected values are by `date -u -d @1700000000` and by hand."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion_core.source import open_source
from fusion_core.source.name_stamps import parse_stamps

SECOND = 1_000_000_000
# 1700000000 s since 1970 is 2023-11-14 22:13:20 UTC.
BASE_NS = 1_700_000_000 * SECOND
STEPS_NS = (123_456_789, 223_456_789, 1_023_456_789)


def cut(stamp_ns, unit_ns):
    return stamp_ns // unit_ns * unit_ns


FORMS = {
    "seconds": (SECOND, lambda t: f"{t // SECOND}"),
    "milliseconds": (10**6, lambda t: f"{t // 10**6}"),
    "microseconds": (10**3, lambda t: f"{t // 10**3}"),
    "nanoseconds": (1, lambda t: f"{t}"),
    "seconds.microseconds": (10**3, lambda t: f"{t // SECOND}.{t % SECOND // 10**3:06d}"),
    "seconds.nanoseconds": (1, lambda t: f"{t // SECOND}.{t % SECOND:09d}"),
    "seconds_milliseconds": (10**6, lambda t: f"{t // SECOND}_{t % SECOND // 10**6:03d}"),
    "seconds_microseconds": (10**3, lambda t: f"{t // SECOND}_{t % SECOND // 10**3:06d}"),
    "seconds-nanoseconds": (1, lambda t: f"{t // SECOND}-{t % SECOND:09d}"),
    "seconds-nanoseconds, not padded": (1, lambda t: f"{t // SECOND}-{t % SECOND}"),
}


@pytest.mark.parametrize("prefix", ["", "frame_", "cam0-", "left", "rgb.2-"])
@pytest.mark.parametrize("form", FORMS)
def test_convention_the_unit_of_a_number_is_seen_from_its_magnitude(form, prefix):
    unit_ns, write = FORMS[form]
    steps = [0, SECOND, 2 * SECOND] if form == "seconds" else STEPS_NS
    stamps = [BASE_NS + step for step in steps]
    names = [prefix + write(stamp) for stamp in stamps]
    assert parse_stamps(names) == [cut(stamp, unit_ns) for stamp in stamps]


@pytest.mark.parametrize("prefix", ["", "img_"])
@pytest.mark.parametrize(
    ("name", "fraction_ns"),
    [
        ("2023-11-14T22:13:20Z", 0),
        ("2023-11-14T22:13:20.5Z", SECOND // 2),
        ("2023-11-14T23:13:20.123456+01:00", 123_456_000),
        ("2023-11-14T17:43:20-04:30", 0),
        ("2023-11-14 22:13:20.123456789", 123_456_789),
        ("20231114T221320", 0),
        ("20231114_221320_123", 123_000_000),
        ("2023-11-14_22-13-20-123456", 123_456_000),
        ("2023_11_14_22_13_20_123", 123_000_000),
        ("20231114221320", 0),
        ("20231114221320123", 123_000_000),
        ("20231114221320123456", 123_456_000),
    ],
)
def test_convention_dates_are_iso_8601_with_or_without_separators(name, fraction_ns, prefix):
    assert parse_stamps([prefix + name]) == [BASE_NS + fraction_ns]


@settings(max_examples=200)
@given(
    st.lists(st.integers(10**17, 2**63 - 1), min_size=1, max_size=8, unique=True),
    st.sampled_from(["milliseconds", "microseconds", "nanoseconds", "seconds.nanoseconds"]),
)
def test_every_time_of_our_days_is_read_back(stamps, form):
    unit_ns, write = FORMS[form]
    stamps = sorted({cut(stamp, unit_ns) for stamp in stamps})
    assert parse_stamps([write(stamp) for stamp in stamps]) == stamps


@pytest.mark.parametrize(
    "names",
    [
        ["0001", "0002"],
        ["frame_000000001", "frame_000000002"],
        ["0000000012", "0000000013"],
        ["f1.25", "f1.50"],
        ["1700000000000", "1700000000000000"],  # two units
        ["1700000000000", "cover"],
        ["a_1700000000000", "b_1700000000000"],  # the same time twice
        ["20231314221320"],  # month 13
        ["99999999999999999999"],
    ],
)
def test_other_names_hold_no_times(names):
    assert parse_stamps(names) is None


def opened(make_folder, pictures, **names):
    folders = {
        modality: make_folder(modality, dict(zip(given, pictures(len(given)), strict=True)))
        for modality, given in names.items()
    }
    with open_source(**folders) as source:
        return list(source.frames())


def test_folders_in_different_units_share_one_clock(make_folder, pictures):
    micro = [f"{(BASE_NS + n * SECOND // 10) // 10**3}" for n in range(3)]
    nano = [f"ir_{BASE_NS + n * SECOND // 10}" for n in range(3)]
    frames = opened(make_folder, pictures, visible=micro, thermal=nano)
    assert [frame.stamp_ns for frame in frames] == [
        BASE_NS + n * SECOND // 10 for n in range(3) for _ in range(2)
    ]


def test_frames_come_by_time_where_names_sort_otherwise(make_folder, pictures):
    names = ["2023-11-14T22:13:20+00:00", "2023-11-14T20:13:21-02:00"]
    frames = opened(make_folder, pictures, visible=names)
    assert [frame.name for frame in frames] == names
    assert [frame.stamp_ns - BASE_NS for frame in frames] == [0, SECOND]


@pytest.mark.parametrize(
    "names",
    [
        {"visible": ["1700000000000000", "1700000000033333", "cover"]},
        {"visible": ["1700000000000000", "1700000000033333"], "thermal": ["ir_1", "ir_2"]},
        {"visible": ["1700000000000", "1700000000000033"]},
        {"visible": ["99999999999999999999", "99999999999999999998"]},
    ],
)
def test_times_that_are_not_used_are_named(make_folder, pictures, names, caplog):
    frames = opened(make_folder, pictures, **names)
    assert min(frame.stamp_ns for frame in frames) == 0
    assert max(frame.stamp_ns for frame in frames) < SECOND
    assert caplog.text.count("named like a time") == 1
    assert names["visible"][0] in caplog.text or names["visible"][1] in caplog.text


def test_plain_numbers_are_no_reason_to_warn(make_folder, pictures, caplog):
    opened(make_folder, pictures, visible=["0000000001", "0000000002"], thermal=["a1", "a2"])
    assert caplog.text == ""


def test_beside_a_video_times_are_counted_from_the_first_image(make_folder, pictures, make_video):
    video = make_video("vi.mp4", pictures(3))
    stamps = [BASE_NS + n * SECOND // 30 for n in range(3)]
    folder = make_folder("ir", dict(zip(map(str, stamps), pictures(3), strict=True)))
    with open_source(visible=video, thermal=folder) as source:
        thermal = [f.stamp_ns for f in source.frames() if f.modality == "thermal"]
    assert thermal == [stamp - BASE_NS for stamp in stamps]
