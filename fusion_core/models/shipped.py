"""The models of this package; ``pyproject.toml`` names each as an entry point."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fusion_core.models import ctrlfuse, m2pn, m2pn_cells, mdaif, mmaif, tcmoa
from fusion_core.models.spec import ModelSpec

_WEIGHTS: Final = Path(__file__).parent / "weights"

M2PN: Final = ModelSpec(
    network=m2pn.M2PN,
    config=m2pn.FULL,
    paper="M2PN",
    description="Memory-bank prompts on full-resolution features; for a GPU or offline work.",
    parameters=972_854,
    weights=_WEIGHTS / "m2pn.safetensors",
)
M2PN_EDGE: Final = ModelSpec(
    network=m2pn_cells.M2PNCells,
    config=m2pn_cells.EDGE,
    paper="M2PN",
    description="The same design on a quarter of the grid; live on two CPU cores.",
    parameters=141_103,
    weights=_WEIGHTS / "m2pn-edge.safetensors",
)
M2PN_NANO: Final = ModelSpec(
    network=m2pn_cells.M2PNCells,
    config=m2pn_cells.NANO,
    paper="M2PN",
    description="Its parts on a sixteenth of the grid and less, with the sources' pixels; fastest.",
    parameters=32_451,
    weights=_WEIGHTS / "m2pn-nano.safetensors",
)
CTRLFUSE: Final = ModelSpec(
    network=ctrlfuse.CtrlFuse,
    config=ctrlfuse.ROBOT,
    paper="CtrlFuse",
    description="A mask marks what to favour; on a quarter of the grid, with a small segmenter.",
    parameters=238_529,
    weights=_WEIGHTS / "ctrlfuse.safetensors",
)
CTRLFUSE_FULL: Final = ModelSpec(
    network=ctrlfuse.CtrlFuse,
    config=ctrlfuse.FULL,
    paper="CtrlFuse",
    description="The published setting on the full grid, with SAM; needs SAM's weights and a GPU.",
    parameters=14_106_881,
)
MDAIF: Final = ModelSpec(
    network=mdaif.MdaIF,
    config=mdaif.SMALL,
    paper="MdaIF",
    description="Restores haze, rain and snow while fusing, in colour; small.",
    parameters=2_421_867,
    weights=_WEIGHTS / "mdaif.safetensors",
)
MDAIF_B1: Final = ModelSpec(
    network=mdaif.MdaIF,
    config=mdaif.B1,
    paper="MdaIF",
    description="The same at the paper's size, to be trained on a GPU.",
    parameters=33_759_741,
)
TCMOA: Final = ModelSpec(
    network=tcmoa.TCMoA,
    config=tcmoa.ROBOT,
    paper="TC-MoA",
    description="Exposures, focus distances and thermal pictures; the sources' own pixels; small.",
    parameters=213_186,
    weights=_WEIGHTS / "tcmoa.safetensors",
)
TCMOA_BASE: Final = ModelSpec(
    network=tcmoa.TCMoA,
    config=tcmoa.PAPER_BASE,
    paper="TC-MoA",
    description="The published setting on MAE ViT-B; needs its weights and a GPU.",
    parameters=3_885_165,
)
TCMOA_LARGE: Final = ModelSpec(
    network=tcmoa.TCMoA,
    config=tcmoa.PAPER_LARGE,
    paper="TC-MoA",
    description="The published setting on MAE ViT-L; needs its weights and a GPU.",
    parameters=11_388_552,
)
MMAIF: Final = ModelSpec(
    network=mmaif.MMAIF,
    config=mmaif.ROBOT,
    paper="MMAIF",
    description="A sentence says what to remove and what to show; three tasks, restored; small.",
    parameters=7_296_777,
    weights=_WEIGHTS / "mmaif.safetensors",
)
MMAIF_FULL: Final = ModelSpec(
    network=mmaif.MMAIF,
    config=mmaif.PAPER,
    paper="MMAIF",
    description="The same at the paper's size, to be trained on a GPU.",
    parameters=121_895_271,
)
