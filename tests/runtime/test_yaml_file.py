from itertools import pairwise

import pytest

from fusion_core.errors import ConfigError, DetectorError
from fusion_core.runtime.yaml_file import read_mapping


def test_values_are_read_and_an_empty_file_has_none(tmp_path):
    file = tmp_path / "settings.yaml"
    file.write_text("a: {b: [1, 2.5]}\n", encoding="utf-8")
    assert read_mapping(file, ConfigError) == {"a": {"b": [1, 2.5]}}
    file.write_text("# nothing\n", encoding="utf-8")
    assert read_mapping(file, ConfigError) == {}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a: [1", "not valid YAML"),
        (b"\xff\xfe\x00", "not valid YAML"),
        (b"- 1\n- 2\n", "expected a mapping of keys, got list"),
        (None, "cannot be read"),
        (b"a: " + b"[" * 21 + b"]" * 21, "nested more than 20 levels"),
        (b"a: " + b"[" * 100_000, "nested more than 20 levels"),
        (b"a: &a [*a]", r"not valid YAML \(an alias refers to itself"),
        (b"a: 1\nb: {c: 1, c: 2}", r"not valid YAML \(key 'c' is given twice"),
        (b"a: 2026-13-45", "not valid YAML"),
        (b"a: " + b"9" * 5000, "not valid YAML"),
        (b"a: " + b" " * 1_000_000, "larger than 1000000 bytes"),
    ],
)
def test_what_is_wrong_is_one_line_of_the_caller_s_kind_that_names_the_file(
    tmp_path, content, reason
):
    file = tmp_path / "settings.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DetectorError, match=rf"settings\.yaml: {reason}") as caught:
        read_mapping(file, DetectorError)
    assert "\n" not in str(caught.value)


def test_aliases_are_counted_in_full(tmp_path):
    """Nine values of nine values ...: 9^7 of them, while every list is written once."""
    names = "abcdefgh"
    lines = ["a: &a [" + ", ".join("1" * 9) + "]"]
    lines += [f"{b}: &{b} [" + ", ".join([f"*{a}"] * 9) + "]" for a, b in pairwise(names)]
    file = tmp_path / "bomb.yaml"
    file.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(ConfigError, match="more than 100000 values"):
        read_mapping(file, ConfigError)
    file.write_text("\n".join(lines[:4]), encoding="utf-8")  # 9^4 = 6561 in the last one
    assert len(read_mapping(file, ConfigError)["d"]) == 9
