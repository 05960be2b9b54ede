"""Outputs as users write them."""

import subprocess
import sys

import pytest

from fusion_core.errors import SinkError, UsageError
from fusion_core.sink import open_sink
from fusion_core.sink.viewers.address import ViewerAddress


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("foxglove://", "127.0.0.1", 8765),
        ("foxglove://:9000", "127.0.0.1", 9000),
        ("foxglove://0.0.0.0", "0.0.0.0", 8765),
        ("foxglove://robot-3.local:9000/", "robot-3.local", 9000),
        ("foxglove://[::1]:9000", "::1", 9000),
    ],
)
def test_host_and_port_may_be_left_out(url, host, port):
    assert ViewerAddress.parse(url, 8765) == ViewerAddress(host, port)


@pytest.mark.parametrize(
    "url", ["rerun://a:b", "rerun://host:70000", "rerun://host:0", "rerun://h/x"]
)
def test_a_malformed_address_is_refused_with_an_example(url):
    with pytest.raises(UsageError, match=r"rerun://127\.0\.0\.1:9876"):
        open_sink(url)


@pytest.mark.parametrize("name", ["a.rrd", "a.mcap"])
def test_a_recording_is_not_overwritten(name, tmp_path):
    (tmp_path / name).write_bytes(b"precious")
    with pytest.raises(SinkError, match="exists already"):
        open_sink(str(tmp_path / name))
    assert (tmp_path / name).read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("dst", "package", "extra"),
    [
        ("rerun://", "rerun-sdk", "rerun"),
        ("a.rrd", "rerun-sdk", "rerun"),
        ("foxglove://", "foxglove-sdk", "foxglove"),
        ("a.mcap", "foxglove-sdk", "foxglove"),
    ],
)
def test_a_missing_package_is_one_line_with_the_remedy(dst, package, extra, tmp_path):
    """In a process of its own: here the packages may be loaded already."""
    program = (
        "import sys; sys.modules['rerun'] = sys.modules['foxglove'] = None\n"
        "from fusion_core.errors import MissingExtraError\n"
        "from fusion_core.sink import open_sink\n"
        f"try: open_sink({dst!r})\n"
        "except MissingExtraError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    (line,) = done.stdout.splitlines()
    assert package in line
    assert f"pip install -e '.[{extra}]'" in line
    assert list(tmp_path.iterdir()) == []
