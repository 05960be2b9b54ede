"""Every file names its licence."""

import pytest


@pytest.mark.copyright
@pytest.mark.linter
def test_copyright() -> None:
    main = pytest.importorskip("ament_copyright.main").main
    assert main(argv=["."]) == 0
