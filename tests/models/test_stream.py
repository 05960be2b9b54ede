"""What a network keeps of the frames before."""

import math

import pytest
import torch

from fusion_core.models import Cues, Features
from fusion_core.models.requirements import complete_cues
from fusion_core.models.stream import StreamState


def after(values, elapsed_s, over_s=2.0):
    stream = StreamState()
    for value in values:
        stream.advance(elapsed_s)
        found = stream.averaged("value", torch.tensor([value]), over_s)
    return found.item()


def test_the_first_value_is_found_as_it_is():
    assert after([3.0], 0.1) == 3.0


def test_a_step_is_followed_by_an_exponential():
    assert after([0.0] + [1.0] * 10, 0.2) == pytest.approx(1 - math.exp(-2.0 / 2.0))


def test_the_frame_rate_does_not_matter():
    slow, fast = after([0.0] + [1.0] * 2, 0.5), after([0.0] + [1.0] * 20, 0.05)
    assert slow == pytest.approx(fast)


def test_after_a_long_gap_what_is_found_counts_alone():
    assert after([0.0, 1.0], 60.0) == pytest.approx(1.0)


def test_where_something_moved_nothing_is_kept():
    stream = StreamState()
    stream.averaged("value", torch.zeros(2), 1.0)
    stream.advance(math.log(2))
    found = stream.averaged("value", torch.ones(2), 1.0, torch.tensor([0.0, 1.0]))
    assert found.tolist() == pytest.approx([1.0, 0.5])


def test_what_is_forgotten_or_has_another_shape_begins_anew():
    stream = StreamState()
    stream.averaged("value", torch.zeros(2), 1.0)
    assert stream.averaged("value", torch.ones(3), 1.0).tolist() == [1.0] * 3
    stream.forget()
    assert stream.averaged("value", torch.zeros(3), 1.0).tolist() == [0.0] * 3


def test_names_do_not_mix():
    stream = StreamState()
    stream.averaged("one", torch.zeros(1), 1.0)
    assert stream.averaged("other", torch.ones(1), 1.0).item() == 1.0


@pytest.mark.parametrize("uses", [True, False])
def test_a_network_gets_a_stream_where_it_keeps_one(uses):
    cues = Cues(stream=StreamState())
    picture, bank = torch.zeros(1, 3, 8, 8), torch.zeros(0, 1)
    complete = complete_cues("name", Features(uses_stream=uses), picture, cues, bank)
    assert (complete.stream is cues.stream) == uses
