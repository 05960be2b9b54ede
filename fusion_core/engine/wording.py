"""What a network is told in words, and how one text becomes the next."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from fusion_core.models import TextCue

_KEPT: Final = 8  # sentences of which the tokens are kept


class Wording:
    """Holds the text in force, and moves from one to the next frame by frame.

    Without a fade a new text shows as a jump of the whole picture.

    Args:
        encode: Gives the tokens of a text; of an empty one those that stand for nothing.
        frames: Frames from one text to the next, at least 1.
    """

    def __init__(self, encode: Callable[[str], TextCue], frames: int) -> None:
        self._encode, self._frames = encode, frames
        self._cues: OrderedDict[str, TextCue] = OrderedDict()
        self._said = ""
        self._before: TextCue | None = None
        self._shown: TextCue | None = None
        self._done, self._started = 0, False
        self.in_force = ""

    def say(self, text: str) -> None:
        """Set what is said, from the next frame on; empty: nothing. Callable from any thread."""
        if text:
            self.cue(text)
        self._said = text

    def step(self) -> TextCue | None:
        """Return the tokens for the next frame; None where nothing is said."""
        text = self._said
        if self._started and text != self.in_force:
            self._before = self._shown or self.cue("")
            self._done = 0
        self._started, self.in_force = True, text
        self._done += 1
        if self._before is not None and self._done < self._frames:
            self._shown = between(self._before, self.cue(text), self._done / self._frames)
        else:
            self._before, self._shown = None, self.still(text)
        return self._shown

    def restart(self) -> None:
        """Let the next frame have its text at once."""
        self._before, self._shown, self._started = None, None, False

    def still(self, text: str) -> TextCue | None:
        """Return the tokens of a text, None of an empty one."""
        return self.cue(text) if text else None

    def cue(self, text: str) -> TextCue:
        """Return the tokens of a text; those of the last few are kept."""
        found = self._cues.get(text)
        if found is None:
            with torch.inference_mode():
                found = self._encode(text)
            self._cues[text] = found
            while len(self._cues) > _KEPT:
                self._cues.popitem(last=False)
        return found


def between(first: TextCue, second: TextCue, share: float) -> TextCue:
    """Return tokens on the way from one text to another; what one lacks grows out of nothing.

    Args:
        first: Where the way begins.
        second: Where it ends.
        share: How far it is gone, in [0, 1].
    """
    length = max(first.tokens.shape[1], second.tokens.shape[1])
    tokens = [_longer(cue.tokens.float(), length) for cue in (first, second)]
    masks = [F.pad(cue.mask, (0, length - cue.mask.shape[1])) for cue in (first, second)]
    return TextCue(torch.lerp(tokens[0], tokens[1], share), masks[0] | masks[1])


def _longer(tokens: Tensor, length: int) -> Tensor:
    return F.pad(tokens, (0, 0, 0, length - tokens.shape[1]))
