"""The page of all settings is the configuration's own text; `python FILE` writes it anew."""

import dataclasses
import typing
from pathlib import Path

import annotated_types
from pydantic.fields import FieldInfo

from fusion_core.config import Config

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "settings.md"
HEAD = "| setting | default | range | meaning |\n|---|---|---|---|\n"


def rows(block, prefix=""):
    hints = typing.get_type_hints(type(block), include_extras=True)
    for field in dataclasses.fields(block):
        value, hint = getattr(block, field.name), hints[field.name]
        if dataclasses.is_dataclass(value):
            yield from rows(value, f"{prefix}{field.name}.")
            continue
        kind, *metadata = typing.get_args(hint)
        info = next(entry for entry in metadata if isinstance(entry, FieldInfo))
        default = {True: "on", False: "off"}[value] if isinstance(value, bool) else value
        shown = f"`{default}`" if default or default == 0 else ""
        yield f"| `{prefix}{field.name}` | {shown} | {limits(kind, info)} | {info.description} |\n"


def limits(kind, info):
    if typing.get_origin(kind) is typing.Literal:
        return ", ".join(f"`{choice}`" for choice in typing.get_args(kind))
    signs = {"ge": "from {}", "gt": "above {}", "le": "to {}", "lt": "below {}"}
    found = [
        text.format(f"{getattr(rule, key):g}")
        for key, text in signs.items()
        for rule in info.metadata
        if isinstance(rule, getattr(annotated_types, key.capitalize()))
    ]
    return " ".join(found)


def test_the_page_has_every_setting_with_its_default_range_and_meaning():
    table = HEAD + "".join(rows(Config()))
    assert table in PAGE.read_text(encoding="utf-8"), f"run `python {__file__}`"


if __name__ == "__main__":
    before = PAGE.read_text(encoding="utf-8").split(HEAD)[0]
    PAGE.write_text(before + HEAD + "".join(rows(Config())), encoding="utf-8")
