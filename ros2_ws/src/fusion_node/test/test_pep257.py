"""Docstrings, in the convention that the package follows."""

import pytest


@pytest.mark.linter
@pytest.mark.pep257
def test_pep257() -> None:
    main = pytest.importorskip("ament_pep257.main").main
    assert main(argv=["--convention", "google", "fusion_node", "launch"]) == 0
