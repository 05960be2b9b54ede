"""Pairing by stamp. Expected pairs are worked out by hand from the stamps in each test."""

import itertools
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion_core.sync import CAUSES, SyncConfig, Synchronizer
from fusion_core.types import Drop, Frame, FramePair

MS = 1_000_000
IMAGE = np.zeros((1, 1), np.uint8)


def frame(modality, ms, sequence=0):
    return Frame(round(ms * MS), modality, IMAGE, "mono8", sequence=sequence)


def merged(visible, thermal):
    """Frames of both streams in the order of their stamps, as a recording gives them."""
    frames = [frame("visible", t, i) for i, t in enumerate(visible)]
    frames += [frame("thermal", t, i) for i, t in enumerate(thermal)]
    return sorted(frames, key=lambda f: f.stamp_ns)


def run(synchronizer, frames):
    pairs = [pair for f in frames for pair in synchronizer.push(f)]
    return pairs + synchronizer.flush()


def assert_accounted(synchronizer):
    dropped = synchronizer.drop_log.by_stream()
    for name in ("visible", "thermal"):
        kept = synchronizer.used[name] + synchronizer.pending[name]
        assert synchronizer.read[name] == kept + sum(dropped[name].values())


def stamps_ms(pairs):
    return [pair.stamp_ns / MS for pair in pairs]


def lost(synchronizer):
    return synchronizer.drop_log.by_cause()


def test_convention_skew_is_thermal_minus_visible_after_offsets():
    # 105 - 100 = 5 ms raw; the thermal offset of -3 ms leaves 2 ms.
    synchronizer = Synchronizer(SyncConfig(thermal_offset_ms=-3))
    (pair,) = run(synchronizer, [frame("visible", 100), frame("thermal", 105)])
    assert pair.skew_ns == 2 * MS
    assert pair.stamp_ns == 100 * MS
    assert pair.thermal.stamp_ns == 105 * MS  # the frame itself keeps its own stamp


def test_convention_pair_stamp_includes_the_master_offset():
    synchronizer = Synchronizer(SyncConfig(visible_offset_ms=7))
    (pair,) = run(synchronizer, [frame("visible", 100), frame("thermal", 107)])
    assert pair.stamp_ns == 107 * MS
    assert pair.skew_ns == 0


@pytest.mark.parametrize("master", ["visible", "thermal"])
def test_equal_stamps_pair_one_to_one_at_once(master):
    synchronizer = Synchronizer(SyncConfig(master=master))
    for i in range(20):
        first = synchronizer.push(frame("visible", 33 * i, i))
        second = synchronizer.push(frame("thermal", 33 * i, i))
        assert (len(first), len(second)) == (0, 1)
        assert second[0].visible.sequence == second[0].thermal.sequence == i
        assert not second[0].reused
    assert lost(synchronizer) == {}


@pytest.mark.parametrize("master", ["visible", "thermal"])
@pytest.mark.parametrize("skew_ms", [-15, -5, 5, 15])
def test_constant_skew_pairs_leave_on_arrival_of_their_second_member(master, skew_ms):
    synchronizer = Synchronizer(SyncConfig(master=master))
    visible = [100 / 3 * i for i in range(60)]
    for f in merged(visible, [t + skew_ms for t in visible]):
        pairs = synchronizer.push(f)
        second = "thermal" if skew_ms > 0 else "visible"
        assert len(pairs) == (f.modality == second)
        for pair in pairs:
            assert pair.visible.sequence == pair.thermal.sequence == f.sequence
            assert abs(pair.skew_ns - skew_ms * MS) <= 1
    assert lost(synchronizer) == {}


def test_late_delivery_within_the_wait_does_not_break_pairs():
    # Thermal frames carry the visible stamps but are delivered 20 ms later.
    synchronizer = Synchronizer(SyncConfig())
    arrivals = [(33 * i, frame("visible", 33 * i, i)) for i in range(30)]
    arrivals += [(33 * i + 20, frame("thermal", 33 * i, i)) for i in range(30)]
    pairs = run(synchronizer, [f for _, f in sorted(arrivals, key=lambda a: a[0])])
    assert [p.skew_ns for p in pairs] == [0] * 30
    assert lost(synchronizer) == {}


def test_slow_streams_wait_for_the_partner_that_is_due():
    """At 4 Hz the thermal frame 15 ms after each visible one is not a stream fallen silent."""
    visible = [250 * n for n in range(20)]
    synchronizer = Synchronizer(SyncConfig())
    pairs = run(synchronizer, merged(visible, [t + 15 for t in visible]))
    skews = [pair.skew_ns for pair in pairs]
    assert skews[3:] == [15 * MS] * 17  # after three frames the period is known
    assert_accounted(synchronizer)


@pytest.mark.parametrize("first", ["visible", "thermal"])
@pytest.mark.parametrize("period_ms", [100, 250, 500, 1000])
def test_slow_streams_of_equal_stamps_lose_nothing_from_the_first_pair_on(period_ms, first):
    """Whichever stream of a moment comes first, and before any period is known."""
    synchronizer = Synchronizer(SyncConfig())
    second = "thermal" if first == "visible" else "visible"
    frames = [frame(name, period_ms * i, i) for i in range(5) for name in (first, second)]
    pairs = run(synchronizer, frames)
    assert [pair.skew_ns for pair in pairs] == [0] * 5
    assert not sum(lost(synchronizer).values())


def test_slow_thermal_is_reused_for_every_visible_frame():
    # 9 Hz against 30 Hz: a thermal frame is at most 111 ms old, within the reuse of 150 ms.
    synchronizer = Synchronizer(SyncConfig())
    visible = [1000 / 30 * i for i in range(1, 300)]
    pairs = run(synchronizer, merged(visible, [1000 / 9 * i for i in range(90)]))
    assert len(pairs) == len(visible)
    assert all(pair.thermal is not None and pair.health == () for pair in pairs)
    assert len({pair.thermal.sequence for pair in pairs}) == synchronizer.used["thermal"] == 90
    assert sum(pair.reused for pair in pairs) == len(visible) - 90
    assert all(-112 * MS <= pair.skew_ns <= 25 * MS for pair in pairs)


def test_slow_thermal_costs_no_waiting_when_its_next_frame_is_too_far():
    # Thermal at 0 and every 111 ms; the visible frame at 233 is 11 ms past the one at 222, so it
    # leaves at once; 266 (44 past, the next at 333) has no nearer partner to come either.
    synchronizer = Synchronizer(SyncConfig())
    for f in merged([33, 66, 100, 133, 166, 200], [0, 111, 222]):
        synchronizer.push(f)
    assert len(synchronizer.push(frame("visible", 233))) == 1
    assert len(synchronizer.push(frame("visible", 266))) == 1


def test_thermal_master_takes_the_nearest_visible_and_the_surplus_is_no_fault():
    synchronizer = Synchronizer(SyncConfig(master="thermal"))
    visible = [1000 / 30 * i for i in range(301)]
    thermal = [1000 / 9 * i + 4 for i in range(90)]
    pairs = run(synchronizer, merged(visible, thermal))
    assert len(pairs) == 90
    assert all(abs(pair.skew_ns) <= 17 * MS and not pair.reused for pair in pairs)
    assert lost(synchronizer) == {"unused": 301 - 90}


def test_jitter_and_loss_lose_no_visible_frame():
    rng = random.Random(7)
    visible = [100 / 3 * i + rng.uniform(-4, 4) for i in range(400)]
    thermal = [100 / 3 * i + rng.uniform(-4, 4) for i in range(400) if rng.random() > 0.05]
    synchronizer = Synchronizer(SyncConfig())
    pairs = run(synchronizer, merged(visible, thermal))
    assert len(pairs) == 400
    # 8 ms is the largest difference of two jitters; a lost partner leaves its predecessor.
    assert all(abs(p.skew_ns) <= 8 * MS for p in pairs if not p.reused)
    assert sum(p.reused for p in pairs) == 400 - len(thermal)
    assert synchronizer.used["thermal"] == len(thermal)
    assert lost(synchronizer) == {}


def test_strong_jitter_keeps_pairs_within_max_skew_or_max_age():
    rng = random.Random(3)
    visible = sorted(100 / 3 * i + rng.uniform(0, 40) for i in range(300))
    thermal = sorted(1000 / 9 * i + rng.uniform(0, 40) for i in range(90))
    synchronizer = Synchronizer(SyncConfig(max_age_ms=200))
    pairs = run(synchronizer, merged(visible, thermal))
    assert_accounted(synchronizer)
    assert all(-200 * MS <= p.skew_ns <= 25 * MS for p in pairs if p.thermal is not None)
    assert stamps_ms(pairs) == sorted(stamps_ms(pairs))
    assert sum(p.thermal is None for p in pairs) <= 2


def test_after_a_loss_pairing_falls_back_into_step():
    # At 60 Hz the neighbour of a lost frame is within the largest skew; the rest must not shift.
    times = [1000 / 60 * i for i in range(60)]
    synchronizer = Synchronizer(SyncConfig())
    pairs = run(synchronizer, merged(times, times[:10] + times[11:]))
    assert [p.skew_ns for p in pairs[12:]] == [0] * 48


@pytest.mark.parametrize("lag_ms", [100, 400])
@pytest.mark.parametrize("master", ["visible", "thermal"])
def test_a_camera_stamped_on_arrival_finds_its_true_partners(master, lag_ms):
    # The thermal driver stamps a frame when it arrives, `lag_ms` after its exposure.
    visible = [100 / 3 * i for i in range(90)]
    synchronizer = Synchronizer(SyncConfig(master=master, thermal_offset_ms=-lag_ms))
    pairs = run(synchronizer, merged(visible, [t + lag_ms for t in visible]))
    assert len(pairs) == 90
    assert all(abs(p.skew_ns) <= 1 and not p.reused for p in pairs)
    assert lost(synchronizer) == {}


def delivered_late(visible, thermal, delay_ms=400):
    """Visible frames arrive ``delay_ms`` after thermal frames of the same stamp."""
    arrivals = [(t, frame("thermal", t, i)) for i, t in enumerate(thermal)]
    arrivals += [(t + delay_ms, frame("visible", t, i)) for i, t in enumerate(visible)]
    return [f for _, f in sorted(arrivals, key=lambda a: a[0])]


def test_after_a_loss_pairing_falls_back_into_step_when_partners_are_waiting():
    # The partners that follow are at hand already; taking the next one each time would never end.
    times = [1000 / 60 * i for i in range(60)]
    synchronizer = Synchronizer(SyncConfig(max_age_ms=500))
    pairs = run(synchronizer, delivered_late(times, times[:10] + times[11:]))
    assert [p.skew_ns for p in pairs[12:]] == [0] * 48


def test_jitter_does_not_reuse_a_frame_that_is_hardly_nearer():
    # For 33 the used frame of 15 is 18 away, the fresh one of 53 is 20 away.
    synchronizer = Synchronizer(SyncConfig(max_age_ms=500))
    pairs = run(synchronizer, delivered_late([0, 33], [15, 53]))
    assert [(p.thermal.sequence, p.reused) for p in pairs] == [(0, False), (1, False)]


def test_slow_equal_rates_wait_for_a_partner_whose_prediction_is_rough():
    # 10 Hz, thermal 16 or 24 ms later in turn: predictions reach 8 ms beyond the skew of 25 ms.
    visible = [100 * i for i in range(40)]
    thermal = [t + (16 if i % 2 else 24) for i, t in enumerate(visible)]
    pairs = run(Synchronizer(SyncConfig()), merged(visible, thermal))
    assert [p.visible.sequence for p in pairs] == [p.thermal.sequence for p in pairs]
    assert not any(p.reused for p in pairs)


def test_a_lost_partner_costs_one_pair_at_slow_rates():
    visible = [100 * i for i in range(40)]
    thermal = [t + 5 for t in visible if t != 1000]
    pairs = run(Synchronizer(SyncConfig()), merged(visible, thermal))
    assert [p.skew_ns / MS for p in pairs] == [-95 if t == 1000 else 5 for t in visible]


def test_a_slow_master_is_not_silent_between_its_frames():
    # 2 Hz thermal drives; the 30 Hz visible stream must not take over within 500 ms.
    synchronizer = Synchronizer(SyncConfig(master="thermal"))
    pairs = run(synchronizer, merged([100 / 3 * i for i in range(150)], range(0, 5000, 500)))
    late = [p for p in pairs if p.stamp_ns > 500 * MS]
    assert stamps_ms(late) == list(range(1000, 5000, 500))


def gap_run(policy):
    """Thermal is silent from 660 to 2673 ms; frames 693 .. 792 reuse that of 660 (150 ms).

    The visible frame of 2673 arrives just before its partner, and leaves without it, because a
    silent stream is not waited for.
    """
    visible = [33 * i for i in range(100)]
    synchronizer = Synchronizer(SyncConfig(on_missing_thermal=policy))
    pairs = run(synchronizer, merged(visible, [t for t in visible if not 660 < t < 2660]))
    gap = [p for p in pairs if 792 < p.stamp_ns / MS <= 2673]
    assert all(p.health == () and p.thermal for p in pairs if p not in gap)
    return synchronizer, pairs, gap


GAP = len(range(825, 2674, 33))


def test_thermal_gap_of_two_seconds_visible_only():
    _, pairs, gap = gap_run("visible_only")
    assert (len(pairs), len(gap)) == (100, GAP)
    assert all(p.health == ("thermal_missing",) for p in gap)
    assert all(p.thermal is None and p.skew_ns is None for p in gap)


def test_thermal_gap_of_two_seconds_hold():
    _, pairs, gap = gap_run("hold")
    assert (len(pairs), len(gap)) == (100, GAP)
    assert all(p.health == ("thermal_held",) and p.reused for p in gap)
    assert {p.thermal.stamp_ns for p in gap} == {660 * MS}


def test_thermal_gap_of_two_seconds_skip():
    synchronizer, pairs, gap = gap_run("skip")
    assert (len(pairs), len(gap)) == (100 - GAP, 0)
    assert lost(synchronizer) == {"no_partner": GAP, "unused": 1}


def test_a_dead_partner_is_not_waited_for():
    synchronizer = Synchronizer(SyncConfig(max_age_ms=100, wait_ms=50))
    run(synchronizer, merged([0, 33, 66], [0, 33, 66]))
    delays = []
    for i in range(3, 30):
        pairs = synchronizer.push(frame("visible", 33 * i))
        delays += [33 * i - p.stamp_ns / MS for p in pairs]
    assert max(delays) <= 66
    assert delays[-20:] == [0] * 20


@pytest.mark.parametrize(
    ("policy", "health"), [("thermal_only", "visible_missing"), ("hold", "visible_held")]
)
def test_partner_drives_the_output_while_the_master_is_silent(policy, health):
    times = [33 * i for i in range(100)]
    visible = [t for t in times if not 990 < t < 2310]
    synchronizer = Synchronizer(SyncConfig(on_missing_visible=policy))
    pairs = run(synchronizer, merged(visible, times))
    assert stamps_ms(pairs) == times  # the output goes on without a hole
    gap = [p for p in pairs if 990 < p.stamp_ns / MS < 2310]
    assert all(p.health == (health,) for p in gap)
    assert {p.visible and p.visible.stamp_ns for p in gap} == {
        None if policy == "thermal_only" else 990 * MS
    }
    assert lost(synchronizer) == {}


def test_silent_master_with_skip_counts_no_partner():
    times = [33 * i for i in range(60)]
    synchronizer = Synchronizer(SyncConfig(on_missing_visible="skip"))
    pairs = run(synchronizer, merged(times[:20], times))
    assert stamps_ms(pairs) == times[:20]
    drops = lost(synchronizer)
    assert drops["no_partner"] + drops.get("unused", 0) == 40
    assert drops["no_partner"] >= 30


def test_a_master_that_is_delivered_late_is_not_silent():
    times = [33 * i for i in range(60)]
    synchronizer = Synchronizer(SyncConfig(max_age_ms=500))
    pairs = run(synchronizer, delivered_late(times, times))
    assert [p.skew_ns for p in pairs] == [0] * 60


def test_hold_without_a_frame_to_hold_gives_a_one_sided_pair():
    synchronizer = Synchronizer(SyncConfig(on_missing_thermal="hold"))
    pairs = run(synchronizer, [frame("visible", 33 * i) for i in range(10)])
    assert len(pairs) == 10
    assert all(p.thermal is None and p.health == ("thermal_missing",) for p in pairs)


def test_only_the_partner_stream_exists():
    synchronizer = Synchronizer(SyncConfig())
    pairs = run(synchronizer, [frame("thermal", 33 * i) for i in range(4)])
    assert len(pairs) == 4
    assert all(p.visible is None and p.health == ("visible_missing",) for p in pairs)


def test_duplicates_and_disorder_are_dropped_by_cause():
    synchronizer = Synchronizer(SyncConfig())
    frames = merged([0, 33, 33, 66], [0, 33, 66])
    frames.insert(-2, frame("visible", 20))
    pairs = run(synchronizer, frames)
    assert stamps_ms(pairs) == [0, 33, 66]
    assert lost(synchronizer) == {"duplicate": 1, "out_of_order": 1}


def test_backward_jump_starts_afresh_and_says_so():
    times = [33 * i for i in range(100)]
    loop = merged(times, times)
    synchronizer = Synchronizer(SyncConfig())
    pairs = run(synchronizer, loop + loop)
    assert len(pairs) == 200
    assert pairs[100].health == ("time_jump",)
    assert sum("time_jump" in p.health for p in pairs) == 1
    assert [p.skew_ns for p in pairs] == [0] * 200


def test_backward_jump_drops_what_was_pending():
    synchronizer = Synchronizer(SyncConfig())
    synchronizer.push(frame("visible", 10_000))
    synchronizer.push(frame("visible", 0))
    assert lost(synchronizer) == {"time_jump": 1}
    assert synchronizer.pending["visible"] == 1


def test_a_step_back_of_less_than_a_second_is_disorder():
    synchronizer = Synchronizer(SyncConfig())
    synchronizer.push(frame("visible", 2000))
    synchronizer.push(frame("visible", 1000))
    assert lost(synchronizer) == {"out_of_order": 1}


def test_forward_jump_finishes_what_is_pending_and_goes_on():
    times = [33 * i for i in range(20)]
    later = [t + 3_600_000 for t in times]
    synchronizer = Synchronizer(SyncConfig())
    pairs = run(synchronizer, [*merged(times, times[:-1]), *merged(later, later)])
    assert stamps_ms(pairs) == times + later
    assert pairs[20].health == ("time_jump",)
    assert [p.skew_ns for p in pairs[20:]] == [0] * 20


def test_one_wild_stamp_does_not_stop_the_output():
    times = [33 * i for i in range(60)]
    frames = merged(times, times)
    frames.insert(60, frame("thermal", 10**9))
    synchronizer = Synchronizer(SyncConfig())
    pairs = run(synchronizer, frames)
    assert_accounted(synchronizer)
    assert [p.skew_ns for p in pairs[-25:]] == [0] * 25


def test_clocks_an_hour_apart_give_one_sided_pairs_in_order():
    times = [33 * i for i in range(60)]
    synchronizer = Synchronizer(SyncConfig(thermal_offset_ms=0))
    frames = [f for t in times for f in (frame("visible", t), frame("thermal", t + 3_600_000))]
    pairs = run(synchronizer, frames)
    assert_accounted(synchronizer)
    visible = [p for p in pairs if p.visible is not None]
    assert len(visible) >= 58
    assert all(p.thermal is None for p in visible)


def test_buffers_are_bounded():
    synchronizer = Synchronizer(SyncConfig(wait_ms=1000, max_age_ms=5000), capacity=4)
    for i in range(10):
        synchronizer.push(frame("visible", i))
    assert synchronizer.pending["visible"] == 4
    assert lost(synchronizer) == {"overrun": 6}


def test_master_frame_older_than_the_output_is_too_old():
    synchronizer = Synchronizer(SyncConfig(max_age_ms=0, wait_ms=0))
    for t in (0, 33, 66, 99):
        synchronizer.push(frame("thermal", t))  # silence: thermal drives
    synchronizer.push(frame("visible", 50))
    assert lost(synchronizer)["too_old"] == 1


def test_a_drop_names_stamp_stream_and_cause():
    """By hand: the second visible frame is a copy; of -43 and 0 ms, 0 ms is nearest to 0 ms."""
    synchronizer = Synchronizer(SyncConfig(thermal_offset_ms=7))
    frames = [frame("visible", t) for t in (0, 0)] + [frame("thermal", t) for t in (-50, -7)]
    run(synchronizer, frames)
    expected = (Drop(0, "visible", "duplicate"), Drop(-50 * MS, "thermal", "unused"))
    assert synchronizer.drop_log.take_recent() == (expected, 0)


def test_after_a_reset_the_same_stamps_are_paired_again():
    synchronizer = Synchronizer(SyncConfig())
    frames = merged(range(0, 400, 33), range(0, 400, 33))
    first = run(synchronizer, frames)
    synchronizer.reset()
    second = run(synchronizer, frames)
    assert [p.stamp_ns for p in second] == [p.stamp_ns for p in first]
    assert all(not pair.health for pair in second)
    assert lost(synchronizer) == {}


@pytest.mark.parametrize("master", ["visible", "thermal"])
@pytest.mark.parametrize("policy", ["alone", "hold"])
def test_the_pair_names_the_frame_that_gave_it_its_stamp(master, policy):
    """The pair's stamp less the leading stream's offset is the leading frame's own stamp.

    First both streams run, then the partner stream alone, which leads from then on.
    """
    offsets = {"visible": 40, "thermal": -70}
    partner = "thermal" if master == "visible" else "visible"
    alone = {"visible": "thermal_only", "thermal": "visible_only"}
    synchronizer = Synchronizer(
        SyncConfig(
            master=master,
            visible_offset_ms=offsets["visible"],
            thermal_offset_ms=offsets["thermal"],
            on_missing_visible="hold" if policy == "hold" else alone["visible"],
            on_missing_thermal="hold" if policy == "hold" else alone["thermal"],
        )
    )
    times = {master: range(1000, 1500, 100), partner: range(1000, 3000, 100)}
    frames = merged(*([t - offsets[name] for t in times[name]] for name in ("visible", "thermal")))
    pairs = run(synchronizer, frames)
    assert {pair.lead for pair in pairs} == {"visible", "thermal"}
    for pair in pairs:
        assert pair.lead_frame is getattr(pair, pair.lead)
        assert pair.lead_frame.stamp_ns == pair.stamp_ns - offsets[pair.lead] * MS


def test_the_only_frame_of_a_pair_leads():
    alone = frame("thermal", 5)
    assert FramePair(0, None, alone, None).lead_frame is alone
    with pytest.raises(ValueError, match="without frames"):
        _ = FramePair(0, None, None, None).lead_frame


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["visible", "thermal"]),
        st.one_of(
            st.integers(-60, 120),
            st.sampled_from([0, 33, 111]),
            st.sampled_from([-5000, 2000, 60_000]),
        ),
    ),
    max_size=80,
)
CONFIGS = st.builds(
    SyncConfig,
    master=st.sampled_from(["visible", "thermal"]),
    max_skew_ms=st.sampled_from([0.0, 5.0, 25.0, 100.0]),
    max_age_ms=st.sampled_from([0.0, 150.0]),
    wait_ms=st.sampled_from([0.0, 50.0, 1000.0]),
    visible_offset_ms=st.sampled_from([0.0, -40.0]),
    on_missing_thermal=st.sampled_from(["hold", "visible_only", "skip"]),
    on_missing_visible=st.sampled_from(["hold", "thermal_only", "skip"]),
)


@settings(max_examples=300, deadline=None)
@given(CONFIGS, EVENTS, st.sampled_from([3, 64]))
def test_every_frame_is_accounted_for_once(config, events, capacity):
    synchronizer = Synchronizer(config, capacity=capacity)
    clock = {"visible": 0, "thermal": 0}
    first_uses, pairs = set(), []
    for number, (modality, step) in enumerate(events):
        clock[modality] += step
        pairs += synchronizer.push(frame(modality, clock[modality], number))
        assert_accounted(synchronizer)
        assert max(synchronizer.pending.values()) <= capacity
    pairs += synchronizer.flush()
    assert_accounted(synchronizer)
    assert sum(synchronizer.pending.values()) == 0
    assert synchronizer.paired == len(pairs)
    for pair in pairs:
        sides = [f for f in (pair.visible, pair.thermal) if f is not None]
        assert sides
        first_uses.update(f.sequence for f in sides)
        if len(sides) == 2 and not any(h.endswith("_held") for h in pair.health):
            late, early = max(config.max_skew_ms, config.max_age_ms) * MS, config.max_skew_ms * MS
            master_minus_partner = pair.skew_ns * (1 if config.master == "thermal" else -1)
            assert -early <= master_minus_partner <= late
    assert len(first_uses) == sum(synchronizer.used.values())


@settings(max_examples=100, deadline=None)
@given(CONFIGS, EVENTS, EVENTS, EVENTS)
def test_frames_around_a_reset_and_a_close_are_accounted_for(config, before, between, after):
    synchronizer = Synchronizer(config)
    clock = {"visible": 0, "thermal": 0}
    ends = (synchronizer.reset, synchronizer.close, lambda: None)
    for events, end in zip((before, between, after), ends, strict=True):
        for modality, step in events:
            clock[modality] += step
            synchronizer.push(frame(modality, clock[modality]))
            assert_accounted(synchronizer)
        end()
        assert_accounted(synchronizer)
    assert sum(synchronizer.pending.values()) == 0
    assert lost(synchronizer).get("closed", 0) >= len(after)
    assert lost(synchronizer).keys() <= set(CAUSES)


@settings(max_examples=100, deadline=None)
@given(CONFIGS, EVENTS)
def test_stamps_ascend_between_jumps(config, events):
    synchronizer = Synchronizer(config)
    clock = {"visible": 0, "thermal": 0}
    pairs = []
    for modality, step in events:
        clock[modality] += step
        pairs += synchronizer.push(frame(modality, clock[modality]))
    pairs += synchronizer.flush()
    for before, after in itertools.pairwise(pairs):
        assert after.stamp_ns > before.stamp_ns or "time_jump" in after.health


@settings(max_examples=50, deadline=None)
@given(CONFIGS, EVENTS)
def test_the_same_stamps_give_the_same_pairs(config, events):
    def pairs():
        synchronizer, clock = Synchronizer(config), {"visible": 0, "thermal": 0}
        for modality, step in events:
            clock[modality] += step
            yield from synchronizer.push(frame(modality, clock[modality]))
        yield from synchronizer.flush()

    assert [(p.stamp_ns, p.skew_ns, p.health) for p in pairs()] == [
        (p.stamp_ns, p.skew_ns, p.health) for p in pairs()
    ]
