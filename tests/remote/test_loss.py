"""The server dies, comes back, was never there, is another one."""

import threading
from dataclasses import replace

import numpy as np
import pytest
from servers import ServerProcess, serving, wait_for
from streams import SECOND, ListSource, stream, thermal, visible

from fusion_core.config import Config
from fusion_core.engine import EngineConfig
from fusion_core.engine.plain_fusion import mean_picture
from fusion_core.errors import EngineAwayError
from fusion_core.pipeline import Pipeline
from fusion_core.serving.session import EngineSession
from fusion_core.types import AlignedPair, FramePair

BASE = {
    "device": "cpu",
    "threads": 1,
    "detector": "none",
    "prior": "none",
    "temporal_smoothing": 0.0,
}


def config(endpoint="", **memory):
    settings = {**BASE, "memory": {"mode": "online", **memory}, "engine": {"endpoint": endpoint}}
    return Config.from_dict(settings)


class LiveStream:
    """Frames that are submitted one pair at a time, and the results."""

    def __init__(self, pipeline):
        self.pipeline = pipeline
        self.results = []
        self._number = 0
        pipeline.start(self.results.append)

    def fuse(self):
        """Submit one pair and return its result."""
        number, self._number = self._number, self._number + 1
        stamp_ns = SECOND + number * SECOND // 10
        self.pipeline.submit(visible(stamp_ns, number))
        self.pipeline.submit(thermal(stamp_ns, number))
        wait_for(lambda: len(self.results) > number)
        return self.results[-1]

    def fuse_until(self, condition):
        """Fuse pairs until a result fulfils a condition; return it."""
        found = []

        def fulfilled():
            found.append(self.fuse())
            return condition(found[-1])

        wait_for(fulfilled)
        return found[-1]


@pytest.fixture
def process(tmp_path):
    server = ServerProcess(f"ipc://{tmp_path}/engine", tmp_path / "server.log")
    yield server
    server.kill()


def is_away(fused):
    return "engine_away" in fused.health


def test_a_live_stream_outlives_its_server(process):
    process.start()
    with Pipeline(config(process.bind)) as pipeline:
        live = LiveStream(pipeline)
        for _ in range(3):
            assert live.fuse().health == ()
        queries = pipeline.status().memory["queries"]
        assert queries == 3
        process.kill()
        lost = live.fuse_until(is_away)
        assert np.array_equal(lost.image, mean_picture(lost.aligned))
        status = pipeline.status()
        assert status.engine["state"] == "away"
        assert "fusion serve" in status.engine["problem"]
        assert "fusion serve" in status.last_error
        assert status.memory["queries"] == queries
        process.start()
        back = live.fuse_until(lambda fused: not is_away(fused))
        assert back.health == ()
        assert back.quality is not None
        status = pipeline.status()
        # The bank goes on where it was: every frame of the network is in it, none twice.
        fused_there = sum(not is_away(fused) for fused in live.results)
        assert status.memory["queries"] == fused_there
        assert status.engine["sessions"] == 2
        assert status.engine["frames_away"] == status.fusion_failures == status.fused - fused_there


def test_a_recording_waits_for_its_server_and_loses_nothing(process):
    frames = stream(visible, 10, 1), stream(thermal, 10, 1)
    with Pipeline(config()) as pipeline:
        expected = [fused.image for fused in pipeline.stream(ListSource(*frames))]
        memory = pipeline.status().memory
    process.start()
    restart = threading.Thread(target=process.start, daemon=True)
    with Pipeline(config(process.bind)) as pipeline:
        found = []
        for fused in pipeline.stream(ListSource(*frames)):
            assert fused.health == ()
            found.append(fused.image)
            if len(found) == 4:
                process.kill()
                restart.start()
        restart.join()
        assert pipeline.status().memory == memory
    assert all(np.array_equal(one, other) for one, other in zip(expected, found, strict=True))


def test_a_stream_may_begin_before_its_server(tmp_path, monkeypatch):
    monkeypatch.setattr("fusion_core.engine.remote.engine.CONNECT_S", 0.1)
    file = tmp_path / "bank.safetensors"
    with Pipeline(config(file=str(file))) as pipeline:
        list(pipeline.stream(ListSource(stream(visible, 10, 1), stream(thermal, 10, 1))))
    bind = f"ipc://{tmp_path}/engine"
    remote = config(bind, file=str(file))
    with Pipeline(remote, server_required=False) as pipeline:
        live = LiveStream(pipeline)
        assert is_away(live.fuse())
        with serving(bind):
            live.fuse_until(lambda fused: not is_away(fused))
            # What the file holds is taken up as soon as the server says what bank it has.
            live.fuse()
            assert pipeline.status().memory["queries"] > 10


def test_without_its_server_a_run_that_needs_it_does_not_begin(tmp_path, monkeypatch):
    monkeypatch.setattr("fusion_core.engine.remote.engine.CONNECT_S", 0.1)
    with pytest.raises(EngineAwayError, match="no server answers; start one"):
        Pipeline(config(f"ipc://{tmp_path}/engine"))


def test_a_bank_of_other_weights_is_kept_and_not_overwritten(tmp_path):
    """A server that comes back with another network has another bank; the old one is a file."""
    file = tmp_path / "bank.safetensors"
    bind = f"ipc://{tmp_path}/engine"
    settings = config(bind, file=str(file), save_every_s=0)
    with Pipeline(settings, reset_invalid_memory=True, server_required=False) as pipeline:
        with serving(bind):
            live = LiveStream(pipeline)
            live.fuse_until(lambda fused: not is_away(fused))
        bank = pipeline._engine.bank
        bank.origin = "of other weights"  # as if the next server's network were trained anew
        with serving(bind):
            back = live.fuse_until(lambda fused: not is_away(fused))
            live.fuse_until(lambda fused: "memory_fresh" in fused.health)
        assert back.quality is not None
    assert file.with_name("bank.safetensors.rejected").is_file()


def test_after_the_loss_of_a_session_the_client_opens_another(tmp_path):
    bind = f"ipc://{tmp_path}/engine"
    with serving(bind) as server, Pipeline(config(bind)) as pipeline:
        live = LiveStream(pipeline)
        live.fuse()
        server._sessions._entries.clear()
        live.fuse_until(is_away)
        live.fuse_until(lambda fused: not is_away(fused))
        assert pipeline.status().engine["sessions"] == 2


def test_while_one_camera_is_gone_the_server_is_followed_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr("fusion_core.engine.remote.engine.CONNECT_S", 0.1)
    bind = f"ipc://{tmp_path}/engine"
    with Pipeline(config(bind), server_required=False) as pipeline:
        alone = FramePair(SECOND, visible(SECOND), None, None)
        with serving(bind):
            wait_for(lambda: pipeline.step(alone) and pipeline.status().engine["state"] == "open")
        wait_for(lambda: pipeline.step(alone) and pipeline.status().engine["state"] == "away")


def test_a_server_that_hangs_costs_its_own_frames_only(tmp_path, monkeypatch):
    """Pairs go on without network, one-sided ones as well, until the server answers again."""
    monkeypatch.setattr("fusion_core.pipeline.pair_step.LIVE_TIMEOUT_S", 1.0)
    free = threading.Event()
    free.set()
    call = EngineSession.call

    def may_hang(session, message):
        free.wait()
        return call(session, message)

    monkeypatch.setattr(EngineSession, "call", may_hang)
    bind = f"ipc://{tmp_path}/engine"
    with serving(bind), Pipeline(config(bind)) as pipeline:
        live = LiveStream(pipeline)
        live.fuse_until(lambda fused: fused.health == ())
        free.clear()
        try:
            stuck = live.fuse_until(lambda fused: "fusion_timeout" in fused.health)
            assert np.array_equal(stuck.image, stuck.pair.visible.image)
            alone = pipeline.step(FramePair(60 * SECOND, None, thermal(60 * SECOND), None))
            assert alone.image.shape == (96, 128, 3)
        finally:
            free.set()
        live.fuse_until(lambda fused: fused.health == ())


def test_a_reset_is_not_undone_by_an_answer_under_way():
    import torch

    from fusion_core.engine.remote.bank import RemoteBank
    from fusion_core.memory import MemoryBank, MemoryConfig

    bank = MemoryBank(torch.eye(4), MemoryConfig(), "any")
    trained = bank.snapshot()
    kept = RemoteBank("any", bank.origin, trained)
    _, edits = kept.unsent(1)
    bank.update(torch.ones(1, 4), torch.tensor([1.0]))
    kept.reset()
    kept.take(bank.snapshot(), 1, edits)
    assert kept.stats() == MemoryBank(torch.eye(4), MemoryConfig(), "any").stats()
    state, _ = kept.unsent(1)
    assert state is not None, "the server has to be told of the reset"


def test_the_plain_mean_by_hand():
    """Gray pictures: luma 100 and thermal 0.8 (204) make 152; outside the view 100 stays."""
    valid = np.ones((4, 6), bool)
    valid[:, 3:] = False
    pair = AlignedPair(
        0, np.full((4, 6, 3), 100, np.uint8), np.where(valid, 0.8, 0).astype(np.float32), valid
    )
    image = mean_picture(pair)
    assert (image[:, :3] == 152).all()
    assert (image[:, 3:] == 100).all()
    assert (mean_picture(replace(pair, valid=np.ones((4, 6), bool)))[:, 3:] == 50).all()


def test_the_settings_name_the_server():
    assert EngineConfig() == Config().engine == EngineConfig(endpoint="", keys="")
