import hashlib
import math
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from fusion_core.errors import MemoryBankError
from fusion_core.memory import MemoryBank, MemoryConfig, SnapshotManager, random_slots, retrieve
from fusion_core.memory.snapshot_lock import SnapshotLock

WARM_UP = 200


def new_bank(slots=None, mode="online", model="m2pn", **options):
    config = MemoryConfig(mode=mode)
    options = {"accept_unjudged": True, **options}
    return MemoryBank(torch.eye(4) if slots is None else slots, config, model, **options)


def busy_bank(queries=300, **options):
    bank = new_bank(**options)
    generator = torch.Generator().manual_seed(0)
    for _ in range(queries):
        query = torch.randn(1, 4, generator=generator)
        bank.update(query, torch.rand(1, generator=generator))
    return bank


def checksum(array):
    return hashlib.sha256(array.tobytes()).hexdigest()


# Reading


def test_retrieve_by_hand():
    """Query along the first of two orthogonal slots: cosines (1, 0), softmax of (1, 0) / 0.5."""
    slots = torch.tensor([[3.0, 0.0], [0.0, 5.0]])
    read, attention = retrieve(torch.tensor([[2.0, 0.0]]), slots, temperature=0.5)
    first = math.exp(2) / (math.exp(2) + 1)
    assert attention[0].tolist() == pytest.approx([first, 1 - first])
    assert read[0].tolist() == pytest.approx([3 * first, 5 * (1 - first)])


def test_retrieve_of_a_zero_query_is_the_mean_of_the_slots():
    """No direction, so all cosines are equal."""
    slots = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    read, attention = retrieve(torch.zeros(2, 3), slots)
    assert torch.allclose(attention, torch.full((2, 6), 1 / 6))
    assert torch.allclose(read, slots.mean(0).expand(2, 3), atol=1e-6)


def test_retrieve_follows_the_order_of_the_batch():
    generator = torch.Generator().manual_seed(0)
    query, slots = torch.randn(5, 3, generator=generator), torch.randn(7, 3, generator=generator)
    order = [4, 2, 0, 1, 3]
    for straight, shuffled in zip(
        retrieve(query, slots), retrieve(query[order], slots), strict=True
    ):
        assert torch.allclose(straight[order], shuffled, atol=1e-6)


def test_random_slots_have_the_length_asked_for():
    torch.manual_seed(0)
    slots = random_slots(50, 16, 3.0)
    assert slots.shape == (50, 16)
    assert torch.allclose(slots.norm(dim=1), torch.full((50,), 3.0))
    assert torch.nn.functional.normalize(slots.mean(0), dim=0).abs().max() < 0.9


# Updating


def test_update_moves_the_nearest_slot_by_the_momentum():
    """By hand: (0.9, 0.1 shares) of slot (0, 1, 0, 0) and query (1, 2, 0, 0)."""
    bank = new_bank()
    assert bank.update(torch.tensor([[1.0, 2.0, 0.0, 0.0]]), torch.tensor([0.5])) == 1
    expected = torch.eye(4)
    expected[1] = torch.tensor([0.1, 1.1, 0.0, 0.0])
    assert np.allclose(bank.slots, expected)


def test_a_batch_is_taken_in_its_order_and_the_last_slot_is_returned():
    query = torch.tensor([[1.0, 0, 0, 0], [0, 0, 0, 2.0], [0, 0, 0, 4.0]])
    together, single = new_bank(), new_bank()
    assert together.update(query, torch.tensor([0.1, 0.2, 0.3])) == 3
    for vector, score in zip(query, (0.1, 0.2, 0.3), strict=True):
        single.update(vector[None], torch.tensor([score]))
    assert np.array_equal(together.slots, single.slots)
    assert together.stats() == single.stats()


def test_threshold_is_mean_plus_kappa_std_of_the_last_thousand_scores():
    """numpy computes it anew over the same scores."""
    bank = new_bank(kappa=0.7)
    scores = np.random.default_rng(0).uniform(size=1300).astype(np.float32)
    query = torch.ones(1, 4)
    for number, score in enumerate(scores):
        history = scores[max(0, number - 1000) : number].astype(np.float64)
        expected = number < WARM_UP or score > history.mean() + 0.7 * history.std()
        assert (bank.update(query, torch.tensor([score])) is not None) == expected, number
    last = scores[-1000:].astype(np.float64)
    assert bank.stats().threshold == pytest.approx(last.mean() + 0.7 * last.std())


def test_training_accepts_all_before_the_history_is_long_enough():
    bank = busy_bank(WARM_UP)
    assert (bank.stats().accepted, bank.stats().rejected) == (WARM_UP, 0)


def test_a_robot_writes_nothing_before_there_are_scores_to_compare_with():
    bank = busy_bank(WARM_UP, accept_unjudged=False)
    assert (bank.stats().accepted, bank.stats().rejected) == (0, WARM_UP)
    assert np.array_equal(bank.slots, np.eye(4))
    assert bank.update(torch.ones(1, 4), torch.tensor([1.0])) is not None


def test_scores_that_came_with_the_slots_judge_the_first_query():
    scores = np.linspace(0, 1, WARM_UP)
    threshold = scores.mean() + 0.5 * scores.std()
    bank = new_bank(scores=scores.tolist(), accept_unjudged=False)
    for _ in range(2):
        assert bank.stats().threshold == pytest.approx(threshold)
        assert bank.update(torch.ones(1, 4), torch.tensor([threshold - 0.01])) is None
        assert bank.update(torch.ones(1, 4), torch.tensor([threshold + 0.01])) is not None
        bank.reset()


def test_the_bank_is_frozen_unless_it_shall_learn():
    assert MemoryConfig().mode == "frozen"


def test_values_that_are_not_finite_never_enter():
    bank = new_bank()
    good = torch.tensor([0.5])
    for query, score in (
        (torch.full((1, 4), torch.nan), good),
        (torch.full((1, 4), torch.inf), good),
        (torch.ones(1, 4), torch.tensor([torch.nan])),
    ):
        assert bank.update(query, score) is None
    assert np.array_equal(bank.slots, torch.eye(4))
    assert bank.stats().rejected == 3
    assert bank.update(torch.ones(1, 4), good) is not None


def test_frozen_bank_never_changes():
    bank = new_bank(mode="frozen")
    before, stats = checksum(bank.slots), bank.stats()
    assert bank.update(torch.ones(3, 4), torch.ones(3)) is None
    assert checksum(bank.slots) == before
    assert bank.stats() == stats


def test_slots_handed_out_are_not_changed_by_later_updates():
    """A backward pass may still need them."""
    bank = new_bank()
    held = bank.slots
    bank.update(torch.full((1, 4), 9.0), torch.tensor([1.0]))
    assert np.array_equal(held, torch.eye(4))
    assert not np.array_equal(bank.slots, held)


def test_slots_updated_in_inference_mode_can_be_trained_with():
    bank = new_bank()
    with torch.inference_mode():
        bank.update(torch.ones(1, 4), torch.tensor([1.0]))
    query = torch.ones(1, 4, requires_grad=True)
    retrieve(query, torch.from_numpy(bank.slots))[0].sum().backward()
    assert query.grad is not None


def test_reset_returns_to_the_initial_slots_and_counts():
    bank = busy_bank()
    bank.reset()
    assert np.array_equal(bank.slots, torch.eye(4))
    assert bank.stats() == new_bank().stats()


def test_the_callers_tensor_is_copied():
    slots = torch.eye(4)
    bank = new_bank(slots)
    slots.zero_()
    assert np.array_equal(bank.slots, torch.eye(4))


def test_replacement_keeps_a_bank_in_use_that_would_collapse():
    """Queries in a narrow cone reach one slot only; replacement brings all of them there."""
    generator = torch.Generator().manual_seed(0)
    cone = torch.tensor([10.0, 1, 0, 0]) + torch.randn(400, 4, generator=generator) * 0.5
    plain, balanced = new_bank(), new_bank(replace_after=20)
    for query in cone:
        for bank in (plain, balanced):
            bank.update(query[None], torch.tensor([0.5]))
    assert sum(n > 0 for n in plain.stats().updates) == 1
    assert all(n > 0 for n in balanced.stats().updates)
    assert all(n > 0 for n in balanced.stats().uses)


# Statistics


def test_statistics_by_hand():
    bank = new_bank()
    query = torch.tensor([[1.0, 0, 0, 0], [0, 1.0, 0, 0], [1.0, 0, 0, 0]])
    bank.update(query, torch.tensor([0.1, 0.2, 0.3]))
    stats = bank.stats()
    assert (stats.queries, stats.accepted, stats.rejected) == (3, 3, 0)
    assert stats.uses == stats.updates == (2, 1, 0, 0)
    assert stats.last_used == (2, 1, -1, -1)
    assert stats.age == (0, 1, 3, 3)
    assert stats.threshold is None


@pytest.mark.parametrize(
    ("slots", "expected"), [(torch.eye(4), 1.0), (torch.ones(4, 4), 0.0), (torch.ones(1, 4), 0.0)]
)
def test_diversity_of_known_banks(slots, expected):
    """Orthogonal slots have cosine 0, equal ones 1; a single slot has no pair."""
    assert new_bank(slots).stats().diversity == pytest.approx(expected, abs=1e-6)


# On disk


def test_restored_bank_goes_on_as_if_it_had_never_stopped(tmp_path):
    path = tmp_path / "bank.safetensors"
    bank = busy_bank()
    bank.save_snapshot(path)
    other = new_bank()
    other.load_snapshot(path)
    assert np.array_equal(other.slots, bank.slots)
    assert other.stats() == bank.stats()
    generator = torch.Generator().manual_seed(1)
    for _ in range(100):
        query, score = torch.randn(1, 4, generator=generator), torch.rand(1, generator=generator)
        assert bank.update(query, score) == other.update(query, score)
    assert np.array_equal(other.slots, bank.slots)
    assert other.stats() == bank.stats()


def rewrite(path, tensors=None, **metadata):
    with safe_open(path, "pt") as file:
        kept = file.metadata()
    save_file(tensors or load_file(path), path, kept | metadata)


def refused(path, bank, match):
    slots, stats = bank.slots.copy(), bank.stats()
    with pytest.raises(MemoryBankError, match=match) as caught:
        bank.load_snapshot(path)
    assert "\n" not in str(caught.value)
    assert np.array_equal(bank.slots, slots)
    assert bank.stats() == stats


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_torn_snapshot_is_refused_and_the_bank_unchanged(tmp_path, share):
    path = tmp_path / "bank.safetensors"
    busy_bank().save_snapshot(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    refused(path, busy_bank(20), "torn or not safetensors")


def test_snapshot_of_zeros_is_refused(tmp_path):
    """What some file systems leave after a power cut."""
    path = tmp_path / "bank.safetensors"
    path.write_bytes(bytes(4096))
    refused(path, busy_bank(20), "torn or not safetensors")


def test_missing_snapshot_is_refused(tmp_path):
    refused(tmp_path / "none", busy_bank(20), "no such file")


def test_foreign_safetensors_are_refused(tmp_path):
    path = tmp_path / "foreign.safetensors"
    save_file({"slots": torch.eye(4)}, path)
    refused(path, busy_bank(20), "format None, expected 'fusion-memory'")


def test_snapshot_of_another_model_is_refused(tmp_path):
    path = tmp_path / "bank.safetensors"
    busy_bank(model="m2pn-edge").save_snapshot(path)
    refused(path, busy_bank(20), "model 'm2pn-edge', expected 'm2pn'")


def test_snapshot_of_other_trained_weights_is_refused(tmp_path):
    path = tmp_path / "bank.safetensors"
    busy_bank(slots=torch.eye(4) * 2).save_snapshot(path)
    refused(path, busy_bank(20), "origin")


@pytest.mark.parametrize("key", ["slots", "uses", "counts", "history"])
@pytest.mark.parametrize("kind", ["missing", "shape", "type"])
def test_snapshot_with_other_tensors_is_refused(tmp_path, key, kind):
    path = tmp_path / "bank.safetensors"
    busy_bank().save_snapshot(path)
    tensors = load_file(path)
    whole = tensors.pop(key)
    if kind != "missing":
        tensors[key] = whole.to(torch.uint8) if kind == "type" else whole[None, :3].contiguous()
    rewrite(path, tensors)
    refused(path, busy_bank(20), "do not fit")


def test_snapshot_with_nan_is_refused(tmp_path):
    path = tmp_path / "bank.safetensors"
    busy_bank().save_snapshot(path)
    tensors = load_file(path)
    tensors["slots"][0, 0] = torch.nan
    rewrite(path, tensors)
    refused(path, busy_bank(20), "not finite")


def test_snapshot_of_a_newer_version_is_refused(tmp_path):
    path = tmp_path / "bank.safetensors"
    busy_bank().save_snapshot(path)
    rewrite(path, version="2")
    refused(path, busy_bank(20), "version '2', expected '1'")


def test_killed_while_saving_leaves_a_whole_snapshot(tmp_path):
    """A process that saves without pause is killed; what lies there restores."""
    path = tmp_path / "bank.safetensors"
    program = """
import sys, torch
from fusion_core.memory import MemoryBank, MemoryConfig
from fusion_core.memory.snapshot_lock import SnapshotLock
bank = MemoryBank(torch.ones(2000, 200), MemoryConfig(mode="online"), "m2pn", accept_unjudged=True)
while True:
    bank.update(torch.ones(1, 200), torch.ones(1))
    bank.save_snapshot(sys.argv[1])
"""
    process = subprocess.Popen([sys.executable, "-c", program, str(path)])
    try:
        limit = time.monotonic() + 60
        while not path.exists() and time.monotonic() < limit:
            time.sleep(0.01)
        time.sleep(0.2)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    bank = new_bank(torch.ones(2000, 200))
    bank.load_snapshot(path)
    assert bank.stats().accepted > 0
    assert bank.stats().accepted == sum(bank.stats().updates)


def test_saves_and_statistics_from_other_threads_see_whole_states(tmp_path):
    """Counters agree with one another at any moment, in memory and on disk."""
    bank, done, wrong = new_bank(), threading.Event(), []

    def watch():
        other = new_bank()
        while not done.is_set():
            stats = bank.stats()
            bank.save_snapshot(tmp_path / "bank.safetensors")
            other.load_snapshot(tmp_path / "bank.safetensors")
            wrong.extend(
                seen
                for seen in (stats, other.stats())
                if seen.accepted != sum(seen.updates) or seen.queries != sum(seen.uses)
            )

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    for _ in range(500):
        bank.update(torch.rand(2, 4), torch.rand(2))
    done.set()
    watcher.join(10)
    assert wrong == []
    assert bank.stats().queries == 1000


# Keeping


def test_manager_saves_at_the_end_and_restores_at_the_start(tmp_path):
    path = tmp_path / "deep" / "bank.safetensors"
    bank = busy_bank()
    SnapshotManager(bank, path, 0).close()
    other = new_bank()
    assert SnapshotManager(other, path, 0).load(reset_invalid=False) == ()
    assert np.array_equal(other.slots, bank.slots)


def test_manager_without_a_file_restores_nothing_and_names_the_setting_on_save():
    manager = SnapshotManager(new_bank(), None, 0)
    assert manager.load(reset_invalid=False) == ()
    with pytest.raises(MemoryBankError, match=r"memory\.file is empty"):
        manager.save()
    manager.close()


def test_manager_sets_an_unusable_snapshot_aside_only_when_asked(tmp_path):
    path = tmp_path / "bank.safetensors"
    path.write_bytes(b"torn")
    with pytest.raises(MemoryBankError):
        SnapshotManager(new_bank(), path, 0).load(reset_invalid=False)
    assert path.read_bytes() == b"torn"
    assert SnapshotManager(new_bank(), path, 0).load(reset_invalid=True) == ("memory_fresh",)
    assert path.with_name("bank.safetensors.rejected").read_bytes() == b"torn"
    assert not path.exists()


def test_a_second_process_does_not_save_to_the_same_file(tmp_path):
    path = tmp_path / "bank.safetensors"
    first = SnapshotManager(busy_bank(), path, 0)
    first.load(reset_invalid=False)
    for reset_invalid in (False, True):
        with pytest.raises(MemoryBankError, match="another process"):
            SnapshotManager(new_bank(), path, 0).load(reset_invalid=reset_invalid)
    link = tmp_path / "link.safetensors"
    link.symlink_to(path)
    with pytest.raises(MemoryBankError, match="another process"):
        SnapshotManager(new_bank(), link, 0).load(reset_invalid=False)
    first.close()
    second = SnapshotManager(new_bank(), path, 0)
    second.load(reset_invalid=False)
    second.close()


def test_the_lock_of_a_killed_process_is_gone(tmp_path):
    path = tmp_path / "bank.safetensors"
    code = (
        "import sys, time; from pathlib import Path\n"
        "from fusion_core.memory.snapshot_lock import SnapshotLock\n"
        "lock = SnapshotLock(Path(sys.argv[1])); print('held', flush=True); time.sleep(300)"
    )
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(MemoryBankError, match="another process"):
            SnapshotLock(path)
        holder.kill()
    SnapshotLock(path).release()


@pytest.mark.parametrize("period_s", [0, 1e-9])
def test_a_bank_that_did_not_change_is_not_saved_again(tmp_path, period_s):
    path = tmp_path / "bank.safetensors"
    SnapshotManager(busy_bank(), path, 0).close()
    before = path.stat()
    bank = new_bank()
    manager = SnapshotManager(bank, path, period_s)
    manager.load(reset_invalid=False)
    manager.tick()
    manager.close()
    assert path.stat() == before
    manager = SnapshotManager(bank, path, period_s)
    manager.load(reset_invalid=False)
    bank.update(torch.rand(1, 4), torch.rand(1))
    manager.close()
    assert path.stat().st_ino != before.st_ino
