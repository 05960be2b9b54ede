"""Tensors that depend on sizes alone, computed once."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, ParamSpec, TypeVar

import torch

_P = ParamSpec("_P")
_T = TypeVar("_T")


def kept_for_sizes(count: int) -> Callable[[Callable[_P, _T]], Callable[_P, _T]]:
    """Keep the tensors of the last ``count`` sizes that a function was called with.

    They can be used in training, too. While a network is traced nothing is kept: what a tracer
    gives has no values, and would reach the next picture.
    """

    def decorate(function: Callable[_P, _T]) -> Callable[_P, _T]:
        kept: Any = lru_cache(count)(torch.inference_mode(mode=False)(function))

        @wraps(function)
        def call(*args: _P.args, **kwargs: _P.kwargs) -> _T:
            if torch.compiler.is_compiling():
                return function(*args, **kwargs)
            found: _T = kept(*args, **kwargs)
            return found

        return call

    return decorate
