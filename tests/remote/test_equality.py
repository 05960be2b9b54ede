"""What a server makes is what this process makes, bit by bit."""

import numpy as np
import pytest
from streams import ListSource, stream, thermal, visible

from fusion_core.config import Config
from fusion_core.errors import ConfigError, UsageError, WeightsError
from fusion_core.pipeline import Pipeline

RIG = """
visible_size: [128, 96]
thermal_size: [128, 96]
homography: [[1, 0, -20], [0, 1, 8], [0, 0, 1]]
"""


def pipeline(endpoint="", **settings):
    data = {"device": "cpu", "threads": 1, "detector": "none", "prior": "none", **settings}
    return Pipeline(Config.from_dict({**data, "engine": {"endpoint": endpoint}}))


def fused(endpoint, **settings):
    source = ListSource(stream(visible, 10, 1.2), stream(thermal, 10, 1))
    with pipeline(endpoint, **settings) as one:
        return list(one.stream(source)), one.status()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"prior": "embedded", "temporal_smoothing": 0.0},
        {"model": "mdaif", "prior": "embedded"},
        {"model": "auto", "prior": "embedded"},
        {"model": "ctrlfuse", "options": {"gain": 2.5}},
        {"model": "mmaif", "text": "remove the haze, make it brighter"},
        {"calibration": "rig.yaml", "memory": {"mode": "frozen"}},
    ],
    ids=["memory", "prior", "restoring", "auto", "mask", "text", "seam"],
)
def test_pictures_and_memory_are_the_same(endpoint, settings, tmp_path):
    if "calibration" in settings:
        (tmp_path / "rig.yaml").write_text(RIG)
        settings = {**settings, "calibration": str(tmp_path / "rig.yaml")}
    (here, state), (there, remote) = fused("", **settings), fused(endpoint, **settings)
    assert len(here) == len(there) == 12
    for one, other in zip(here, there, strict=True):
        assert np.array_equal(one.image, other.image)
        assert one.text == other.text
        assert (one.quality, one.memory_slot, one.model) == (
            other.quality, other.memory_slot, other.model,
        )  # fmt: skip
        assert one.health == other.health
    assert remote.memory == state.memory
    assert remote.model == state.model
    assert remote.engine["frames_away"] == 0


def test_a_snapshot_written_by_a_client_is_one_of_this_process(endpoint, tmp_path):
    """Half of a stream there, half here, through the file, is the whole stream here."""
    file = str(tmp_path / "bank.safetensors")
    whole = fused("")[1].memory
    visible_frames, thermal_frames = stream(visible, 10, 1.2), stream(thermal, 10, 1)
    for place, chosen in ((endpoint, slice(6)), ("", slice(6, None))):
        source = ListSource(visible_frames[chosen], thermal_frames[chosen])
        with pipeline(place, memory={"file": file}, temporal_smoothing=0.7) as one:
            list(one.stream(source))
    with pipeline("", memory={"file": file}) as one:
        kept = one.status().memory
    assert kept["queries"] == whole["queries"]


@pytest.mark.parametrize(
    ("settings", "kind", "words"),
    [
        ({"model": "nonsense"}, UsageError, "not served here"),
        ({"model": "ctrlfuse-full"}, WeightsError, "no weights ship"),
        ({"options": {"gian": 2}}, ConfigError, "options.gian"),
        ({"model": "auto"}, UsageError, "prior 'none'"),
    ],
)
def test_what_is_refused_here_is_refused_there(endpoint, settings, kind, words):
    with pytest.raises(kind, match=words):
        pipeline(endpoint, **settings)


def test_a_checkpoint_of_the_servers_disk_is_only_for_those_it_is_served_to(endpoint):
    with pytest.raises(UsageError, match="not served here"):
        pipeline(endpoint, model="/etc/passwd.safetensors")


def test_the_servers_own_settings_are_not_the_clients():
    from fusion_core.serving.networks import session_config

    with pytest.raises(UsageError, match="device"):
        session_config(Config(), {"device": "cuda"})
    with pytest.raises(UsageError, match="memory"):
        session_config(Config(), {"memory": {"file": "/etc/passwd"}})
