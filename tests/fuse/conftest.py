import pytest
import stack_models


@pytest.fixture
def chooser(tmp_path_factory, monkeypatch):
    """Install a model of all three tasks; return its name."""
    stack_models.install(tmp_path_factory.mktemp("site"), monkeypatch)
    yield "chooser"
    monkeypatch.undo()
    stack_models.forget()
