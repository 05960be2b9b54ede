import board_world
import pytest

from fusion_core.cli.main import main


@pytest.fixture(scope="session")
def boards(tmp_path_factory):
    """Return a function that records a board once: visible and thermal folder, target."""
    made = {}

    def recorded(kind):
        if kind not in made:
            make, spec = board_world.BOARDS[kind]
            seconds = 4.0 if kind == "charuco" else 3.0
            folder = tmp_path_factory.mktemp(kind)
            places = board_world.record(folder, make(), seconds, rates_hz=(15.0, 12.5))
            made[kind] = (*places, spec)
        return made[kind]

    return recorded


@pytest.fixture(scope="session")
def rigs(boards, tmp_path_factory):
    """Return a function that calibrates from such a recording once: the rig's file, its page."""
    made = {}

    def calibrated(kind):
        if kind not in made:
            folder = tmp_path_factory.mktemp("rig")
            rig, page = folder / "rig.yaml", folder / "rig.html"
            visible, thermal, spec = boards(kind)
            inputs = ["--visible", visible, "--thermal", thermal, "--target", spec]
            assert main(["calibrate", *inputs, "--out", str(rig), "--report", str(page)]) == 0
            made[kind] = rig, page
        return made[kind]

    return calibrated
