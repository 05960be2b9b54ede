import pytest

from fusion_core.errors import UsageError
from fusion_core.sink import open_sink


@pytest.mark.parametrize(
    "dst", ["fused", "fused.avi", "fused.png", "bag:", "http://host/x.html", "http://host/x/", ""]
)
def test_an_unknown_kind_lists_the_kinds(dst, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as error:
        open_sink(dst)
    for example in (".mp4", "ending in /", ".jsonl", "bag:DIR", "zmq://"):
        assert example in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_folder_without_its_slash_is_explained(tmp_path):
    with pytest.raises(UsageError, match=f"for the folder write {tmp_path}/"):
        open_sink(str(tmp_path))
