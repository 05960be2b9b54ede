"""What MdaIF's prototypes and experts do with each kind of degradation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from fusion_core.models import Cues
from fusion_core.models.mdaif import MdaIF
from fusion_lab.benches.plots import load_pyplot
from fusion_lab.benches.restoring.pictures import DegradedPicture
from fusion_lab.benches.tables import Table

LEVELS = 4
_Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ExpertBalance:
    """How evenly the experts of one level are used.

    Attributes:
        stride: Stride of the level in pixels.
        shares: Share of the work per expert.
        importance_cv2: Squared coefficient of variation of the shares.
        load_cv2: The same of how often each expert is used at all.
    """

    stride: int
    shares: tuple[float, ...]
    importance_cv2: float
    load_cv2: float


@dataclass(frozen=True, slots=True)
class PrototypeFigures:
    """Means over the pictures of each group.

    Attributes:
        activations: Group -> level -> activation of each prototype.
        gates: Group -> level -> weight of each expert.
        balance: One entry per level, over all groups.
    """

    activations: Mapping[str, _Array]
    gates: Mapping[str, _Array]
    balance: tuple[ExpertBalance, ...]

    def tables(self) -> list[Table]:
        """Return the balance per level."""
        balance = tuple(
            (
                entry.stride,
                " ".join(f"{share:.3f}" for share in entry.shares),
                entry.importance_cv2,
                entry.load_cv2,
            )
            for entry in self.balance
        )
        head = ("stride", "shares of the work", "cv² of importance", "cv² of load")
        return [Table("Experts", head, balance, digits=3)]


@torch.inference_mode()
def measure_prototypes(model: MdaIF, pictures: Iterable[DegradedPicture]) -> PrototypeFigures:
    """Run the network on every picture and collect its inner values."""
    activations: dict[str, list[_Array]] = {}
    gates: dict[str, list[_Array]] = {}
    for picture in pictures:
        assert picture.pair.visible is not None, "pairs of the test set are complete"
        planes = cv2.cvtColor(picture.pair.visible, cv2.COLOR_RGB2YCrCb)[..., [0, 2, 1]]
        colour = torch.from_numpy(planes).permute(2, 0, 1)[None].float() / 255
        thermal = torch.from_numpy(picture.clean.thermal)[None, None].float() / 255
        cues = Cues(chroma=colour[:, 1:], tokens=torch.from_numpy(picture.prior.tokens)[None])
        made = model.restore(thermal, colour[:, :1], cues)
        activations.setdefault(picture.group, []).append(made.activations[0].double().numpy())
        gates.setdefault(picture.group, []).append(made.gates[0].double().numpy())
    return PrototypeFigures(
        activations={group: np.mean(values, axis=0) for group, values in activations.items()},
        gates={group: np.mean(values, axis=0) for group, values in gates.items()},
        balance=_balance([gate for found in gates.values() for gate in found]),
    )


def draw_prototypes(figures: PrototypeFigures, path: Path) -> None:
    """Plot activations and gates per group and level.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    plt = load_pyplot(path)
    groups = list(figures.gates)
    figure, axes = plt.subplots(2, LEVELS, figsize=(12, 5), layout="constrained")
    for row, (title, values) in enumerate(
        (("prototype", figures.activations), ("expert", figures.gates))
    ):
        for level in range(LEVELS):
            means = np.array([values[group][level] for group in groups])
            panel = axes[row, level]
            shown = panel.imshow(means, vmin=0, vmax=1, cmap="viridis", aspect="auto")
            panel.set_yticks(range(len(groups)), groups if level == 0 else [""] * len(groups))
            panel.set_xticks(range(means.shape[1]))
            panel.set_title(f"{title}, stride {stride_of(level)}", fontsize=9)
            for (y, x), value in np.ndenumerate(means):
                panel.text(x, y, f"{value:.2f}", ha="center", va="center", fontsize=7, color="w")
    figure.colorbar(shown, ax=axes, shrink=0.6)
    figure.savefig(path, dpi=80)
    plt.close(figure)


def stride_of(level: int) -> int:
    """Return the stride of a level in pixels."""
    return 4 << level


def _balance(gates: Sequence[_Array]) -> tuple[ExpertBalance, ...]:
    """Return the balance of ``levels x experts`` gates over many pictures."""
    work = np.array(gates)
    entries = []
    for level in range(LEVELS):
        importance, load = work[:, level].mean(axis=0), (work[:, level] > 0).mean(axis=0)
        spread = [float(np.var(values) / np.mean(values) ** 2) for values in (importance, load)]
        shares = tuple(float(share) for share in importance)
        entries.append(ExpertBalance(stride_of(level), shares, spread[0], spread[1]))
    return tuple(entries)
