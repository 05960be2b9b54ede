"""The exposures of one bracket, merged into the visible picture of a pair."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Final

import numpy as np
import torch

from fusion_core.engine import Engine
from fusion_core.errors import FusionError, UsageError
from fusion_core.foundation import load_frozen
from fusion_core.models import find_models, load_model
from fusion_core.runtime.closable import Closable
from fusion_core.runtime.message_filter import MessageFilter
from fusion_core.runtime.timed_call import CallTimeoutError, TimedCaller
from fusion_core.source.settings import SourceConfig
from fusion_core.stacks import prepare_stack
from fusion_core.types import Frame, FramePair, UInt8Image

_log = logging.getLogger(__name__)
_EXPOSURES: Final = "mef"


class BracketMerger(Closable):
    """Merges the bracket of a pair's visible frame; where that fails its reference stays.

    Args:
        engine: Runs a network that does multi-exposure fusion.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._caller = TimedCaller("bracket")
        self._messages = MessageFilter()

    @classmethod
    def open(cls, config: SourceConfig, device: torch.device) -> BracketMerger:
        """Return what merges brackets as configured.

        Raises:
            UsageError: No installed model does multi-exposure fusion, or the one named does not, or
                not of so many pictures.
            WeightsError: Its weights are missing or torn.
        """
        known = find_models(lambda features: _EXPOSURES in features.tasks)
        name = config.bracket_model
        if name == "auto":
            if not known:
                raise UsageError(
                    f"source.bracket {config.bracket}: no installed model merges exposures (task "
                    "mef); install or train one, or set source.bracket 1"
                )
            name = known[0]
        model = load_model(name, device)
        if _EXPOSURES not in model.features.tasks:
            raise UsageError(
                f"source.bracket_model {name!r}: does {', '.join(model.features.tasks)}, not mef; "
                f"models that do: {', '.join(known) or 'none'}"
            )
        if model.features.max_pictures < config.bracket:
            raise UsageError(
                f"source.bracket_model {name!r}: merges up to {model.features.max_pictures} "
                f"pictures, source.bracket is {config.bracket}; set it lower"
            )
        load_frozen(model)  # now, not while the first bracket waits
        return cls(Engine(model, None))

    def merge(self, pair: FramePair, timeout_s: float) -> tuple[FramePair, tuple[str, ...]]:
        """Return the pair with the merged picture, and the conditions that held.

        Args:
            pair: The pair; one without a visible frame stays as it is.
            timeout_s: Limit of the time in seconds.
        """
        frame = pair.visible
        if frame is None:
            return pair, ()
        if not frame.bracket:
            return pair, ("bracket_missing",)
        alone = replace(frame, bracket=())
        try:
            image = self._caller.call(lambda: self._merged(frame), timeout_s)
        except CallTimeoutError:
            return self._failed(pair, alone, f"not merged within {timeout_s:g} s")
        except Exception as error:  # noqa: BLE001 - the stream goes on with one exposure
            known = isinstance(error, FusionError)
            reason = str(error) if known else f"{type(error).__name__}: {error}"
            return self._failed(pair, alone, reason)
        return replace(pair, visible=replace(alone, image=image)), ()

    def close(self) -> None:
        """End the thread."""
        self._caller.close()

    def _merged(self, frame: Frame) -> UInt8Image:
        pictures = [np.asarray(each.image, np.uint8) for each in frame.bracket]
        reference = next(
            number for number, each in enumerate(frame.bracket) if each.stamp_ns == frame.stamp_ns
        )
        prepared = prepare_stack(pictures, _EXPOSURES, reference=reference, live=True)
        return self._engine.fuse_pictures(prepared.pictures, _EXPOSURES)

    def _failed(
        self, pair: FramePair, alone: Frame, reason: str
    ) -> tuple[FramePair, tuple[str, ...]]:
        if self._messages.is_new(reason):
            _log.warning("exposures are not merged, one of them is shown: %s", reason)
        return replace(pair, visible=alone), ("bracket_failed",)
