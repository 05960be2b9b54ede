"""Which number type a device computes fast in."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import nn

from fusion_core.inference.choice import kept_choice, machine, measure

# What networks spend their time with: a convolution, a norm, an activation, a change of channels.
_CHANNELS, _HEIGHT, _WIDTH, _GROUPS = 32, 120, 160, 4
_TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def fast_precision(device: str) -> torch.dtype:
    """Return the number type that networks run fastest in.

    On a GPU it is bfloat16 where its hardware multiplies it. On a CPU it is measured once and kept
    per machine: vector instructions for bfloat16 (AVX-512) make networks up to twice as fast on one
    processor and slower than float32 on another.
    """
    if torch.device(device).type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if fast else torch.float32
    return _measured()


@cache
def _measured() -> torch.dtype:
    # Torch reports what a CPU can do since 2.9; without the report float32 is the safe answer.
    report = getattr(torch.cpu, "get_capabilities", None)
    found = report() if report else {}
    if not (found.get("amx_bf16") or found.get("avx512_bf16")):
        return torch.float32
    key = machine(block=[_CHANNELS, _HEIGHT, _WIDTH])
    choice = kept_choice(key, tuple(_TYPES))
    if choice is None:
        choice = measure(key, {name: _block(dtype) for name, dtype in _TYPES.items()})
    return _TYPES[choice.kind]


def _block(dtype: torch.dtype) -> Callable[[], object]:
    """Return what runs one block of a network in a number type."""
    with torch.random.fork_rng(devices=()):  # a training that asks draws the same numbers after it
        layers = nn.Sequential(
            nn.Conv2d(_CHANNELS, _CHANNELS, 3, padding=1),
            nn.GroupNorm(_GROUPS, _CHANNELS),
            nn.GELU(),
            nn.Conv2d(_CHANNELS, _CHANNELS, 1),
        )
    block = layers.to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    maps = torch.ones(1, _CHANNELS, _HEIGHT, _WIDTH, dtype=dtype)
    maps = maps.to(memory_format=torch.channels_last)

    def run() -> None:
        with torch.inference_mode():
            block(maps)

    return run
