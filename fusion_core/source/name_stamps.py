"""Capture times in the names of image files."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from typing import Final

_NS: Final = 1_000_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_FIRST_YEAR: Final = 1971
# A whole number is a time since 1970 in the unit in which it lies between 1973 and 5138.
_UNITS: Final = ((10**8, _NS), (10**11, 10**6), (10**14, 10**3), (10**17, 1))
_LARGEST_NS: Final = 2**63 - 1
# Digits of the second field of `seconds_fraction` names -> nanoseconds per count.
_FIELD_NS: Final = {3: 10**6, 6: 10**3, 9: 1}

_WHOLE = re.compile(r"(?:.*[^0-9.])?([0-9]{9,19})")
_DECIMAL = re.compile(r"(?:.*[^0-9.])?([0-9]{9,10})[.]([0-9]{1,9})")
_FIELDS = re.compile(r"(?:.*[^0-9.])?([0-9]{9,10})[_-]([0-9]{1,9})")
_ISO = re.compile(
    r"(?:.*[^0-9])?([0-9]{4})([-_]?)([0-9]{2})\2([0-9]{2})[-_T ]"
    r"([0-9]{2})([-_:.]?)([0-9]{2})\6([0-9]{2})(?:[-_.,]([0-9]{1,9}))?"
    r"(Z|[+][0-9]{2}:?[0-9]{2}|-[0-9]{2}:[0-9]{2})?"
)
_COMPACT = re.compile(r"(?:.*[^0-9])?([0-9]{14})([0-9]{3}|[0-9]{6})?")
_LONG_NUMBER = re.compile(r"(?<![0-9])[1-9][0-9]{8,}(?![0-9])")


def parse_stamps(names: Sequence[str]) -> list[int] | None:
    """Return the times in names of one form, in nanoseconds since 1970.

    A name is a time, or ends in one after a prefix that does not end in a digit: a whole number of
    seconds, milliseconds, microseconds or nanoseconds since 1970, distinguished by magnitude;
    ``seconds.fraction``; ``seconds_milliseconds``, ``seconds_microseconds``,
    ``seconds_nanoseconds`` or the same with a hyphen; or a date and time as in ISO 8601, also
    without its separators or with hyphens and underscores instead, in UTC unless it has an offset
    (a negative one with a colon).

    Returns:
        One time per name, None unless all names are of one form and unit and no two are equal.
    """
    for parse in (_parse_dates, _parse_decimals, _parse_fields, _parse_whole):
        stamps = parse(names)
        if stamps is not None and len(set(stamps)) == len(stamps) > 0:
            return stamps
    return None


def resembles_stamp(name: str) -> bool:
    """Return whether a name alone would be taken for a time, or holds a number as long as one."""
    return parse_stamps([name]) is not None or _LONG_NUMBER.search(name) is not None


def _parse_all(names: Sequence[str], parse: Callable[[str], int | None]) -> list[int] | None:
    stamps = []
    for name in names:
        stamp = parse(name)
        if stamp is None:
            return None
        stamps.append(stamp)
    return stamps


def _parse_dates(names: Sequence[str]) -> list[int] | None:
    return _parse_all(names, _parse_iso) or _parse_all(names, _parse_compact)


def _parse_iso(name: str) -> int | None:
    match = _ISO.fullmatch(name)
    if match is None:
        return None
    parts = match.groups()
    fields = [parts[index] for index in (0, 2, 3, 4, 6, 7)]
    return _date_ns(fields, parts[8] or "", parts[9] or "Z")


def _parse_compact(name: str) -> int | None:
    match = _COMPACT.fullmatch(name)
    if match is None:
        return None
    digits = match[1]
    fields = [digits[:4], *(digits[start : start + 2] for start in range(4, 14, 2))]
    return _date_ns(fields, match[2] or "", "Z")


def _date_ns(fields: Sequence[str], fraction: str, offset: str) -> int | None:
    """Return nanoseconds since 1970, None when there is no such date or time of day."""
    year, month, day, hour, minute, second = (int(field) for field in fields)
    if year < _FIRST_YEAR:
        return None
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc)
    except ValueError:
        return None
    if offset != "Z":
        sign, digits = (-1 if offset[0] == "-" else 1), offset[1:].replace(":", "")
        moment -= sign * timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    whole = (moment - _EPOCH) // timedelta(seconds=1)
    return whole * _NS + int(fraction.ljust(9, "0"))


def _parse_decimals(names: Sequence[str]) -> list[int] | None:
    def parse(name: str) -> int | None:
        match = _DECIMAL.fullmatch(name)
        return None if match is None else int(match[1]) * _NS + int(match[2].ljust(9, "0"))

    return _parse_all(names, parse)


def _parse_fields(names: Sequence[str]) -> list[int] | None:
    matches = [_FIELDS.fullmatch(name) for name in names]
    found = [match for match in matches if match is not None]
    if not found or len(found) < len(names):
        return None
    # Without leading zeros nine counts of ten still have all digits of their unit.
    unit_ns = _FIELD_NS.get(max(len(match[2]) for match in found))
    if unit_ns is None:
        return None
    return [int(match[1]) * _NS + int(match[2]) * unit_ns for match in found]


def _parse_whole(names: Sequence[str]) -> list[int] | None:
    matches = [_WHOLE.fullmatch(name) for name in names]
    numbers = [int(match[1]) for match in matches if match is not None]
    if not numbers or len(numbers) < len(names):
        return None
    units = {_unit_ns(number) for number in numbers}
    unit_ns = units.pop()
    if units or not unit_ns or max(numbers) * unit_ns > _LARGEST_NS:
        return None
    return [number * unit_ns for number in numbers]


def _unit_ns(number: int) -> int:
    """Return the nanoseconds of one count, 0 for a number that is no time."""
    return next((unit for least, unit in reversed(_UNITS) if number >= least), 0)
