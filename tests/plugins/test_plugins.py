"""Parts by name: one faulty package is named, and hides no part of the others."""

from importlib.metadata import EntryPoint

import pytest

from fusion_core import plugins
from fusion_core.cli.main import main
from fusion_core.errors import UsageError
from fusion_core.models import list_models
from fusion_core.plugins import MODELS, SINKS, SOURCES, VERBS, load_plugin, load_plugins
from fusion_core.sink import open_sink
from fusion_core.source import open_source

FAULTS = {
    "absent": ("", "ModuleNotFoundError"),
    "syntax": ("def", "SyntaxError"),
    "raises": ("raise RuntimeError('no licence\\nsecond line')", "RuntimeError: no licence"),
    "lacks": ("OTHER = 1", "AttributeError"),
}


@pytest.fixture(params=FAULTS)
def fault(request, tmp_path, monkeypatch):
    """Add a part that cannot be loaded to every group; return the reason."""
    text, reason = FAULTS[request.param]
    if text:
        (tmp_path / f"fault_{request.param}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    real = plugins.entry_points
    value = f"fault_{request.param}:PART"
    monkeypatch.setattr(
        plugins,
        "entry_points",
        lambda group: [*real(group=group), EntryPoint("faulty", value, group)],
    )
    plugins._entries.cache_clear()
    yield reason
    plugins._entries.cache_clear()


@pytest.mark.parametrize("group", [MODELS, SOURCES, SINKS, VERBS])
def test_a_faulty_part_is_named_with_its_reason_in_one_line(group, fault):
    with pytest.raises(UsageError) as caught:
        load_plugin(group, "faulty")
    message = str(caught.value)
    assert all(word in message for word in (group, "'faulty'", fault, "uninstall"))
    assert "\n" not in message


def test_lists_go_on_without_it(fault, caplog, capsys):
    assert "m2pn-edge" in [info.name for info in list_models()]
    assert "faulty" not in load_plugins(SINKS)
    with pytest.raises(UsageError, match=r"expected .*jsonl"):
        open_sink("file.unknown")
    with pytest.raises(UsageError, match=r"unknown kind of address.*zmq"):
        open_source("nothing://here")
    assert main(["--help"]) == 0
    assert "calibrate" in capsys.readouterr().out
    assert fault in caplog.text


def test_two_packages_that_claim_a_name_are_both_named(monkeypatch):
    twice = [EntryPoint("mine", f"package{n}:PART", MODELS) for n in (1, 2)]
    monkeypatch.setattr(plugins, "entry_points", lambda group: twice)
    plugins._entries.cache_clear()
    try:
        with pytest.raises(UsageError, match=r"package1:PART and package2:PART; uninstall one"):
            load_plugin(MODELS, "mine")
    finally:
        plugins._entries.cache_clear()
