"""Tokens of the embedded provider: how many per picture, and how wide."""

from __future__ import annotations

from typing import Final

TOKEN_GRID: Final = 4
TOKENS: Final = TOKEN_GRID**2
DIM: Final = 128
