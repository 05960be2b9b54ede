"""Rigs, configurations, snapshots and metadata from anywhere: an error of one line, or a value."""

import copy
import math

import numpy as np
import onnx_networks as networks
import pytest
import torch
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from fusion_core.config import Config
from fusion_core.detection import Detector
from fusion_core.detection.card import read_card
from fusion_core.errors import CalibrationError, ConfigError, DetectorError, MemoryBankError
from fusion_core.memory import MemoryBank, MemoryConfig
from fusion_core.registration import Rig
from fusion_core.runtime.yaml_file import read_mapping

NUMBERS = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([1e300, -1e300, 10**400, 2**63, math.nan, math.inf, 0, -1, True]),
)
KEYS = st.one_of(st.text(max_size=8), st.integers(), st.none(), st.booleans())
VALUES = st.recursive(
    st.one_of(st.none(), NUMBERS, st.text(max_size=20), st.binary(max_size=8), st.dates()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)
CAMERA = {
    "image_width": 640,
    "image_height": 480,
    "distortion_model": "plumb_bob",
    "distortion_coefficients": {"rows": 1, "cols": 5, "data": [0.0] * 5},
    "camera_matrix": {"rows": 3, "cols": 3, "data": [500.0, 0, 320, 0, 500, 240, 0, 0, 1]},
}
CAMERAS = {
    "visible": CAMERA,
    "thermal": CAMERA,
    "T_thermal_rgb": np.eye(4).tolist(),
    "reference_depth_m": 10.0,
}
FLAT = {
    "homography": np.eye(3).tolist(),
    "visible_size": [640, 480],
    "thermal_size": [320, 240],
    "thermal_offset_ms": 1.0,
}


def places(value, path=()):
    """Return the path of every value inside nested mappings and lists."""
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for key, entry in entries:
        yield (*path, key)
        if isinstance(entry, dict | list):
            yield from places(entry, (*path, key))


def changed(data, path, value, how):
    """Return a copy with one value replaced, removed, or an unknown key added beside it."""
    data = copy.deepcopy(data)
    *parents, last = path
    holder = data
    for key in parents:
        holder = holder[key]
    if how == "remove":
        del holder[last]
    elif how == "add" and isinstance(holder, dict):
        holder["unknown"] = value
    else:
        holder[last] = value
    return data


def mutations(data):
    return st.builds(
        changed,
        st.just(data),
        st.sampled_from(list(places(data))),
        VALUES,
        st.sampled_from(["replace", "replace", "remove", "add"]),
    )


def attempt(action, kind):
    """Return what an action gives, or None where it is refused as it should be."""
    refusal = None
    try:
        return action()
    except kind as error:
        refusal = str(error)
    assert "\n" not in refusal
    assert 0 < len(refusal) < 1000
    return None


@pytest.mark.parametrize("data", [CAMERAS, FLAT], ids=["cameras", "homography"])
def test_the_rigs_that_are_changed_below_are_good(data):
    Rig.from_mapping(data)


@given(st.one_of(mutations(CAMERAS), mutations(FLAT), VALUES))
@example(changed(FLAT, ("homography", 0, 0), 1e300, "replace"))
@example(changed(FLAT, ("homography", 0, 0), 10**400, "replace"))
@example(changed(FLAT, ("homography", 2, 2), math.nan, "replace"))
@example({1: 2, **FLAT})
def test_a_changed_rig_is_refused_or_has_finite_numbers(data):
    rig = attempt(lambda: Rig.from_mapping(data), CalibrationError)
    if rig is not None and rig.homography is not None:
        assert np.isfinite(rig.homography).all()
        assert np.isfinite(np.linalg.inv(rig.homography)).all()


@given(st.one_of(mutations(Config().to_dict()), VALUES))
@example({1: 2})
@example({"sync": {None: 1}})
@example({"options": {"gain": [1]}})
def test_a_changed_configuration_is_refused_or_complete(data):
    config = attempt(lambda: Config.from_dict(data), ConfigError)
    assert config is None or config.to_dict().keys() == Config().to_dict().keys()


TOKENS = ["[", "]", "{", "}", ": ", ", ", "- ", "\n", "  ", "&a ", "*a ", "<<: ", "? ", "|\n", "'"]
TAGS = [f"!!{tag} " for tag in ("int", "float", "bool", "null", "timestamp", "binary", "set")]
TAGS += ["!!python/object:os.system ", "!!omap ", "!!pairs ", "!!seq ", "!!map ", "!!str "]
WORDS = ["a", "1", "1e999", "0x", "1:1:1", "2020-13-45", ".inf", "~", "\x00", "\t", "''", '""']
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join(['*' + old] * 9)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@given(st.lists(st.sampled_from(TOKENS + TAGS + WORDS), max_size=30).map("".join))
@example(BOMB)
@example("a: " + "[" * 100_000)
@example("[" * 15 + "]" * 15)
@example("a: &a [*a]")
@example('a: !!int ""')
@example('a: !!float ""')
@example("a: !!bool maybe")
@example("a: !!timestamp soon")
@example("a: " + "9" * 5000)
@example("? [a, b]\n: 1")
@example("a: 1\na: 2")
@example("\ufeffa: 1")
def test_yaml_is_read_or_refused(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "fuzzed.yaml"
    path.write_text(text, encoding="utf-8")
    data = attempt(lambda: read_mapping(path, ConfigError), ConfigError)
    assert data is None or isinstance(data, dict)


@given(st.binary(max_size=60))
@example("a: \u00e4".encode("latin-1"))
@example("a: 1".encode("utf-16"))
def test_bytes_are_read_or_refused(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "fuzzed.yaml"
    path.write_bytes(data)
    attempt(lambda: read_mapping(path, ConfigError), ConfigError)


def test_many_keys_are_read(tmp_path):
    """Each key compared with all before it would take longer than a test may."""
    path = tmp_path / "many.yaml"
    path.write_text("".join(f"k{number}: 1\n" for number in range(40_000)))
    assert len(read_mapping(path, ConfigError)) == 40_000


# Snapshots

SLOTS = torch.eye(4)


def fresh_bank():
    return MemoryBank(SLOTS, MemoryConfig(mode="online"), "m2pn", accept_unjudged=True)


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory):
    path = tmp_path_factory.mktemp("bank") / "bank"
    bank = fresh_bank()
    bank.update(torch.rand(20, 4), torch.rand(20))
    bank.save_snapshot(path)
    return path.read_bytes()


@given(st.data())
def test_a_damaged_snapshot_is_refused_or_leaves_a_usable_bank(snapshot, tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "fuzzed.safetensors"
    content = bytearray(snapshot[: data.draw(st.integers(0, len(snapshot)))])
    if data.draw(st.booleans()):
        content = bytearray(snapshot)
    for _ in range(data.draw(st.integers(0, 3)) if content else 0):
        # More often in the header, which holds the structure.
        limit = data.draw(st.sampled_from([8, 600, len(content)]))
        place = data.draw(st.integers(0, min(limit, len(content)) - 1))
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    bank = fresh_bank()
    attempt(lambda: bank.load_snapshot(path), MemoryBankError)
    bank.update(torch.rand(2, 4), torch.rand(2))
    stats = bank.stats()
    assert np.isfinite(bank.slots).all()
    assert stats.queries >= 2
    assert min(stats.age) >= 0


# Metadata of detectors

METADATA = st.dictionaries(
    st.sampled_from(["names", "task", "conf", "iou", "input", "output_format", "imgsz", "decoder"]),
    st.one_of(
        st.text(max_size=20),
        VALUES.map(repr),
        st.sampled_from(["[" * 500, "{[]: 1}", "1e999", "-" * 5000, "{0: 'a'", "[1e999, 1]"]),
    ),
)


@given(METADATA)
@example({"names": "[" * 100_000})
@example({"names": "{[]: 1}"})
@example({"names": repr({0: "a" * 5000, "x": 1})})
@example({"conf": "nan"})
@example({"task": "'a\\nb' * 9"})
def test_metadata_are_understood_or_refused(tmp_path_factory, metadata):
    path = tmp_path_factory.getbasetemp() / "net.onnx"
    attempt(lambda: read_card(path, metadata), DetectorError)


def test_metadata_that_are_no_text_are_left_out(tmp_path, caplog):
    path = tmp_path / "net.onnx"
    networks.colour_meter(path, metadata={"names": "['zzzz', 'b', 'c']"})
    path.write_bytes(path.read_bytes().replace(b"zzzz", b"\xff\xfe\xfd\xfc"))
    assert Detector(str(path)).class_names.known == ()
    assert "not UTF-8" in caplog.text


@pytest.mark.parametrize("size", ["[1e999, 1]", "[0, 64]", "[99999999, 99999999]", "[" * 9999])
def test_impossible_sizes_are_refused(tmp_path, size):
    shape = (1, 3, "height", "width")
    output = {"output0": np.zeros((1, 84, 10), np.float32)}
    path = networks.constant(tmp_path / "net.onnx", output, shape=shape, metadata={"imgsz": size})
    assert attempt(lambda: Detector(path), DetectorError) is None


def test_a_rig_file_that_python_wrote_is_read_again(tmp_path):
    """The fuzzed mappings are what a file gives."""
    path = tmp_path / "rig.yaml"
    path.write_text(yaml.safe_dump(CAMERAS))
    assert Rig.load(path).to_mapping()["visible"]["image_width"] == 640
