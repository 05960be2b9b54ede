import pytest

from fusion_core.errors import UsageError
from fusion_core.sink import open_sink


@pytest.mark.parametrize(
    "dst", ["fused", "fused.avi", "fused.png", "bag:", "http://host/x.html", "http://host/x/", ""]
)
def test_unknown_form_lists_the_forms(dst, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"\.mp4.*ending in /.*jsonl.*bag:DIR.*zmq://"):
        open_sink(dst)
    assert list(tmp_path.iterdir()) == []


def test_folder_without_its_slash_is_explained(tmp_path):
    with pytest.raises(UsageError, match=f"for the folder write {tmp_path}/"):
        open_sink(str(tmp_path))
