"""The bench of the text encoder."""

import pytest

from fusion_core.errors import UsageError
from fusion_lab.benches.texts import TextsBench


def test_the_order_of_words_matters():
    """Of the encoder that ships; a part is recovered wherever the whole is."""
    result = TextsBench(sentences=60).measure()
    trained, held_out, shuffled = result.rows
    assert shuffled.whole < held_out.whole - 0.15
    for row in result.rows:
        assert row.whole <= min(*row.parts, row.named)
    assert trained.parts[-1] > 0.95
    assert "| phrasings held out |" in result.tables()[0].markdown()


def test_wrong_options_are_refused():
    with pytest.raises(UsageError, match="--sentences 0"):
        TextsBench(sentences=0).measure()
