"""The rules of ament_flake8."""

from pathlib import Path

import pytest


@pytest.mark.flake8
@pytest.mark.linter
def test_flake8() -> None:
    check = pytest.importorskip("ament_flake8.main").main_with_errors
    code, errors = check(argv=["--config", str(Path(__file__).with_name("flake8.ini"))])
    assert code == 0, "\n".join(errors)
