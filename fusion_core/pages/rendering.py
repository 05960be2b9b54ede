"""Rendering of the pages' templates."""

from __future__ import annotations

import importlib.util

from fusion_core.errors import missing_extra
from fusion_core.pages.content import Page
from fusion_core.pages.pictures import picture_uri

_PACKAGES = ("jinja2", "matplotlib")


def require_page_packages(purpose: str) -> None:
    """Check that the packages that pages need are installed.

    Args:
        purpose: What needs them, for the message: a path or an option.

    Raises:
        MissingExtraError: One or more are missing; all are named.
    """
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise missing_extra(purpose, " and ".join(missing), "report")


def render_page(page: Page) -> str:
    """Return the whole HTML document."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("fusion_core.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["picture_uri"] = picture_uri
    return environment.get_template("page.html.j2").render(page=page)
