from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion_core.errors import SourceError, UsageError
from fusion_core.runtime.drop_log import DropLog
from fusion_core.source.recorded import RecordedSource
from fusion_core.types import Frame

SECOND = 1_000_000_000
PIXEL = np.zeros((1, 1), np.uint8)


class Listed:
    total = None

    def __init__(self, modality, stamps, error=None):
        self.modality, self.stamps, self.error = modality, stamps, error
        self.drop_log = DropLog()
        self.taken = 0
        self.closed = False

    def frames(self):
        for index, stamp in enumerate(self.stamps):
            self.taken += 1
            yield Frame(stamp, self.modality, PIXEL, "mono8", sequence=index)
        if self.error:
            raise SourceError(self.error)

    def close(self):
        self.closed = True


stamps = st.lists(st.integers(0, 10**12), max_size=30).map(sorted)


@settings(deadline=None)
@given(visible=stamps, thermal=stamps)
def test_frames_come_by_stamp_and_none_is_lost(visible, thermal):
    source = RecordedSource([Listed("visible", visible), Listed("thermal", thermal)])
    frames = list(source.frames())
    assert [frame.stamp_ns for frame in frames] == sorted(visible + thermal)
    assert Counter(frame.modality for frame in frames) == Counter(source.read)


def test_a_second_reading_names_the_next_step():
    source = RecordedSource([Listed("visible", [1, 2])])
    assert len(list(source.frames())) == 2
    with pytest.raises(UsageError, match="open it again"):
        next(source.frames())


def test_merging_is_lazy():
    slow = Listed("visible", range(10**6))
    frames = RecordedSource([slow, Listed("thermal", range(10**6))]).frames()
    for _ in range(10):
        next(frames)
    assert slow.taken < 20


def test_streams_stay_together_when_a_clock_is_set_back():
    times = [100 * SECOND + n * SECOND // 30 for n in range(20)]
    times += [n * SECOND // 30 for n in range(20)]
    source = RecordedSource([Listed("visible", times), Listed("thermal", [t + 5 for t in times])])
    frames = list(source.frames())
    for first, second in zip(frames[::2], frames[1::2], strict=True):
        assert {first.modality, second.modality} == {"visible", "thermal"}
        assert abs(first.stamp_ns - second.stamp_ns) == 5


def test_all_torn_streams_are_named_after_all_good_frames():
    source = RecordedSource(
        [Listed("visible", [1, 2], "vi.mp4: torn"), Listed("thermal", [1, 2, 3], "ir.mp4: torn")]
    )
    with pytest.raises(SourceError, match=r"vi\.mp4: torn; ir\.mp4: torn"):
        list(source.frames())
    assert source.read == {"visible": 2, "thermal": 3}


def test_leaving_the_block_closes_the_inputs():
    stream = Listed("visible", [1, 2, 3])
    with RecordedSource([stream]) as source:
        frames = source.frames()
        next(frames)
    assert stream.closed
    assert list(frames) == []
