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
from fusion_lab.benches.tables import Cell, Table

LEVELS = ("stride 4", "stride 8", "stride 16", "stride 32", "experts")
"""Where prototypes weigh channels, in the order of the activations."""
_Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ExpertBalance:
    """How evenly the experts are used.

    Attributes:
        shares: Share of the work per expert.
        importance_cv2: Squared coefficient of variation of the shares.
        load_cv2: The same of how often each expert is used at all.
    """

    shares: tuple[float, ...]
    importance_cv2: float
    load_cv2: float


@dataclass(frozen=True, slots=True)
class PrototypeFigures:
    """Means over the pictures of each group.

    Attributes:
        activations: Group -> level -> activation of each prototype.
        gates: Group -> weight of each expert.
        balance: Over all groups.
    """

    activations: Mapping[str, _Array]
    gates: Mapping[str, _Array]
    balance: ExpertBalance

    def tables(self) -> list[Table]:
        """Return the experts' work per group and their balance, and the prototypes' activations."""
        count = len(self.balance.shares)
        experts = tuple(f"expert {number}" for number in range(1, count + 1))
        work: tuple[tuple[Cell, ...], ...] = tuple(
            (group, *map(float, gates)) for group, gates in self.gates.items()
        )
        shares = " ".join(f"{share:.3f}" for share in self.balance.shares)
        balance = ((shares, self.balance.importance_cv2, self.balance.load_cv2),)
        kinds = range(next(iter(self.activations.values())).shape[1])
        active: tuple[tuple[Cell, ...], ...] = tuple(
            (group, level, *map(float, values))
            for group, levels in self.activations.items()
            for level, values in zip(LEVELS, levels, strict=False)
        )
        names = tuple(f"prototype {number + 1}" for number in kinds)
        return [
            Table("Work of the experts", ("group", *experts), work),
            Table(
                "Balance of the experts",
                ("shares of the work", "cv² of importance", "cv² of load"),
                balance,
                digits=3,
            ),
            Table("Activations of the prototypes", ("group", "level", *names), active),
        ]


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
    panels = {
        f"prototypes, {name}": [figures.activations[group][level] for group in groups]
        for level, name in enumerate(LEVELS)
    }
    panels["experts"] = [figures.gates[group] for group in groups]
    figure, axes = plt.subplots(1, len(panels), figsize=(15, 3), layout="constrained")
    for number, (panel, (title, values)) in enumerate(zip(axes, panels.items(), strict=True)):
        means = np.array(values)
        shown = panel.imshow(means, vmin=0, vmax=1, cmap="viridis", aspect="auto")
        panel.set_yticks(range(len(groups)), groups if number == 0 else [""] * len(groups))
        panel.set_xticks(range(means.shape[1]))
        panel.set_title(title, fontsize=9)
        for (y, x), value in np.ndenumerate(means):
            panel.text(x, y, f"{value:.2f}", ha="center", va="center", fontsize=7, color="w")
    figure.colorbar(shown, ax=axes, shrink=0.8)
    figure.savefig(path, dpi=80)
    plt.close(figure)


def _balance(gates: Sequence[_Array]) -> ExpertBalance:
    """Return the balance of the experts' gates over many pictures."""
    work = np.array(gates)
    importance, load = work.mean(axis=0), (work > 0).mean(axis=0)
    spread = [float(np.var(values) / np.mean(values) ** 2) for values in (importance, load)]
    return ExpertBalance(tuple(float(share) for share in importance), spread[0], spread[1])
