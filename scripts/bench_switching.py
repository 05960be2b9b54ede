"""Run `model: auto` over the smoke video: when networks change, and whether the picture jumps."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from fusion_core.config import Config
from fusion_core.engine.switching import degradation
from fusion_core.pipeline import Pipeline
from fusion_core.source import open_source

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
VIDEO = "0117_1620"


def main() -> None:
    """Print the changes and how much pictures differ from the last, and plot both."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="recordings")
    folder = parser.parse_args().data / "video" / VIDEO
    names: list[str] = []
    likely: list[float] = []
    dark: list[float] = []
    moved: list[float] = []
    moved_visible: list[float] = []
    last = None
    with (
        open_source(visible=str(folder / "vi.mp4"), thermal=str(folder / "ir.mp4")) as source,
        Pipeline(Config.from_dict({"model": "auto", "device": "cpu"})) as pipeline,
    ):
        for result in pipeline.stream(source):
            assert result.prior is not None
            assert result.aligned.visible is not None
            both = result.image.astype(np.int16), result.aligned.visible.astype(np.int16)
            names.append(result.model)
            likely.append(degradation(result.prior))
            dark.append(result.prior.visible.get("low_light", 0.0))
            before = last or both
            moved.append(float(np.abs(both[0] - before[0]).mean()))
            moved_visible.append(float(np.abs(both[1] - before[1]).mean()))
            last = both
    changes = [i for i in range(1, len(names)) if names[i] != names[i - 1]]
    print(f"{len(names)} frames, begins with {names[0]}")
    for index in changes:
        fade = moved[index : index + 15]
        around = moved[max(1, index - 15) : index] + moved[index + 15 : index + 30]
        print(
            f"frame {index}: {names[index]}, degraded {likely[index]:.2f}, dark {dark[index]:.2f}; "
            f"fused moves by {np.mean(fade):.2f} of 255 per frame in the fade (at most "
            f"{max(fade):.2f}), {np.mean(around):.2f} around it (at most {max(around):.2f})"
        )
    top = int(np.argmax(moved))
    ranks = np.percentile(moved[1:], (50, 95))
    print(
        f"fused moves by {ranks[0]:.2f} per frame (median), {ranks[1]:.2f} (95 %), "
        f"{moved[top]:.2f} at most, at frame {top}, where visible moves by {moved_visible[top]:.2f}"
    )
    figure, axes = plt.subplots(2, 1, figsize=(10, 4.5), sharex=True, layout="constrained")
    seconds = np.arange(len(names)) / 30
    axes[0].plot(seconds, likely, label="rain, snow, noise, haze or smoke")
    axes[0].plot(seconds, dark, label="low light")
    axes[0].fill_between(
        seconds, [float(name == "mdaif") for name in names], color="0.85", label="mdaif runs"
    )
    axes[0].set(ylabel="prior in force", ylim=(-0.02, 1.02))
    axes[1].plot(seconds[1:], moved[1:], lw=1, label="fused")
    axes[1].plot(seconds[1:], moved_visible[1:], lw=1, label="visible")
    axes[1].set(ylabel="mean change, of 255", xlabel="seconds")
    for panel in axes:
        panel.legend(loc="upper right", fontsize=8)
    figure.savefig(IMAGES / "mdaif_auto.png", dpi=80)


if __name__ == "__main__":
    main()
