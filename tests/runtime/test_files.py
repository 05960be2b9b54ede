import pytest

from fusion_core.runtime.files import atomic_path


def test_target_appears_whole(tmp_path):
    target = tmp_path / "new" / "bank.bin"
    with atomic_path(target) as temporary:
        temporary.write_bytes(b"abc")
        assert not target.exists()
    assert target.read_bytes() == b"abc"
    assert [path.name for path in target.parent.iterdir()] == ["bank.bin"]


def test_failure_keeps_the_old_file_and_leaves_no_rubbish(tmp_path):
    target = tmp_path / "bank.bin"
    target.write_bytes(b"old")

    def write_half():
        with atomic_path(target) as temporary:
            temporary.write_bytes(b"half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_half()
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]
