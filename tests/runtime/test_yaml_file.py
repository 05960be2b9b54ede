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
