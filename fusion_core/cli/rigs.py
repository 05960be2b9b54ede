"""What ``fusion calibrate`` prints: a rig in a few lines, a board as a drawing."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fusion_core.calibration.printing import write_drawing
from fusion_core.calibration.targets import Target
from fusion_core.errors import UsageError
from fusion_core.registration import Rig


def draw_target(spec: str | None, path: Path) -> int:
    """Write the board of a target as a drawing, and print how to use it.

    Raises:
        UsageError: No target is given, or it cannot be understood.
    """
    if spec is None:
        raise UsageError("--print-target: no target is given; add --target SPEC")
    width, height = write_drawing(Target.parse(spec), path)
    print(
        f"{path}: {1e3 * width:.0f} x {1e3 * height:.0f} mm; print it at 100 % on flat, stiff "
        "material and measure a square before use"
    )
    return 0


def print_rig(rig: Rig) -> None:
    """Print the rig's parameters and residuals."""
    for name, camera in (("visible", rig.visible), ("thermal", rig.thermal)):
        if camera is None:
            continue
        fx, fy, cx, cy = (camera.k[index] for index in (0, 4, 2, 5))
        quality = rig.calibration.get(name, {})
        rms = f", {quality['views']} views, {quality['rms_px']:.3f} px RMS" if quality else ""
        print(f"{name}  fx {fx:.2f}, fy {fy:.2f}, cx {cx:.2f}, cy {cy:.2f}{rms}")
    if rig.t_thermal_rgb is not None:
        rotation, translation = rig.t_thermal_rgb[:3, :3], rig.t_thermal_rgb[:3, 3]
        angle = np.degrees(np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1, 1)))
        quality = rig.calibration.get("pose", {})
        rms = f", {quality['pairs']} pairs, {quality['rms_px']:.3f} px RMS" if quality else ""
        baseline = 1e3 * np.linalg.norm(translation)
        print(f"pose     {baseline:.1f} mm apart, turned by {angle:.2f} degrees{rms}")
    if rig.homography is not None and "spread_px" in rig.calibration:
        found = rig.calibration
        print(f"map      {found['moments']} moments agree within {found['spread_px']:.2f} px")
    print(f"clock    {rig.thermal_offset_ms:+.2f} ms are added to thermal stamps")
