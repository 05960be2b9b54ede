"""Entities of a Rerun recording, and the blueprint that arranges them."""

from __future__ import annotations

from typing import Any, Final

APPLICATION: Final = "fusion"
TIMELINE: Final = "stamp"
CAMERA: Final = "camera"
DETECTIONS: Final = f"{CAMERA}/detections"
THERMAL_SOURCE: Final = "thermal_source"
PLOTS: Final = "plots"
HEALTH: Final = "health"
_PLOT_ROWS: Final = (
    ("Latency (ms)", "latency_ms"),
    ("Drops so far", "drops"),
    ("Registration", "registration"),
    ("Quality", "quality"),
    ("Prior: visible", "prior_visible"),
    ("Prior: thermal", "prior_thermal"),
)


def picture_entity(name: str) -> str:
    """Return where a picture lies: below the camera whose pixels it has."""
    return THERMAL_SOURCE if name == "thermal_source" else f"{CAMERA}/{name}"


def blueprint() -> Any:  # noqa: ANN401 - of an optional package
    """Return the layout: the fused picture, the two it was made of, plots and health."""
    import rerun as rr
    import rerun.blueprint as rrb

    # Captions are for the large picture: in the small ones they would cover what they name.
    bare = {DETECTIONS: rr.Boxes2D.from_fields(show_labels=False)}

    def view(name: str, title: str) -> rrb.Spatial2DView:
        entity = picture_entity(name)
        if name == "thermal_source":
            return rrb.Spatial2DView(origin=entity, name=title)
        contents = [entity, DETECTIONS]
        overrides = None if name == "fused" else bare
        return rrb.Spatial2DView(origin=entity, contents=contents, name=title, overrides=overrides)

    plots = [
        rrb.TimeSeriesView(origin=f"{PLOTS}/{group}", name=title) for title, group in _PLOT_ROWS
    ]
    thermal = rrb.Tabs(view("thermal", "Thermal"), view("thermal_source", "Thermal as it came"))
    pictures = rrb.Vertical(
        view("fused", "Fused"),
        rrb.Horizontal(view("visible", "Visible"), thermal),
        row_shares=[3, 2],
    )
    side = rrb.Vertical(
        *plots[:3],
        rrb.Tabs(*plots[3:]),
        rrb.TextLogView(origin=HEALTH, name="Health"),
        row_shares=[3, 2, 2, 3, 2],
    )
    return rrb.Blueprint(rrb.Horizontal(pictures, side, column_shares=[3, 2]), collapse_panels=True)
