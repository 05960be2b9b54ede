"""The bench of the embedded prior provider: options and parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

import cv2
import numpy as np
import tyro

from fusion_core.errors import UsageError
from fusion_core.priors.checkpoint import SHIPPED, load_prior
from fusion_core.priors.embedded import EmbeddedProvider
from fusion_core.priors.network import PriorNet
from fusion_core.types import AlignedPair, Modality
from fusion_lab.benches.command import BenchCommand
from fusion_lab.benches.pictures import write_picture
from fusion_lab.benches.priors.accuracy import ModalityScores, read_testset_rows, score_network
from fusion_lab.benches.priors.cost import (
    RefreshFigures,
    cost_table,
    measure_cost,
    measure_refresh,
    street_pair,
)
from fusion_lab.benches.priors.places import (
    PlaceAnswers,
    answer_left_out,
    answer_places,
    places_table,
)
from fusion_lab.benches.priors.recordings import (
    SmokeCurve,
    draw_curve,
    likely_kinds,
    night_probabilities,
    night_table,
    video_curve,
)
from fusion_lab.benches.tables import Table
from fusion_lab.benches.timing import Timing
from fusion_lab.training.degradations import ORDER, Degrader
from fusion_lab.training.degradations.testset import SEVERITIES, VERSION, checksum

Part = Literal["scores", "places", "left-out", "night", "smoke", "cost", "refresh"]
_SMOKE = "video/0117_1620"


@dataclass(frozen=True, slots=True)
class PriorsResult:
    """Figures of the parts that were run.

    Attributes:
        testset: Version and checksum of the test set; empty without scores.
        scores: One entry per modality.
        night: Group of pictures -> p(low_light).
        smoke: Probabilities over a recording of smoke.
        likely: Likeliest kinds of single pictures.
        places: Answers on recorded pictures, by place.
        left_out: The same of heads refitted without the place.
        cost: Part -> process time.
        refresh: The frame path beside a slow provider.
    """

    testset: str = ""
    scores: tuple[ModalityScores, ...] = ()
    night: Mapping[str, tuple[float, ...]] | None = None
    smoke: SmokeCurve | None = None
    likely: Table | None = None
    places: tuple[PlaceAnswers, ...] = ()
    left_out: tuple[PlaceAnswers, ...] = ()
    cost: Mapping[str, Timing] | None = None
    refresh: RefreshFigures | None = None

    def tables(self) -> Sequence[Table]:
        """Return the tables of the parts."""
        tables = [table for scores in self.scores for table in scores.tables()]
        if self.testset:
            tables.insert(0, Table("Test set", ("version and checksum",), ((self.testset,),)))
        if self.night:
            tables.append(night_table(self.night))
        if self.smoke:
            head = ("samples", "share with p(smoke or haze) > 0.5")
            row = (len(self.smoke.seconds), self.smoke.veiled_share)
            tables.append(Table(_SMOKE, head, (row,)))
        if self.likely:
            tables.append(self.likely)
        if self.places:
            tables.append(places_table("Recorded pictures as they are", self.places))
        if self.left_out:
            tables.append(places_table("The same, each place left out", self.left_out))
        if self.cost:
            tables.append(cost_table(self.cost))
        if self.refresh:
            tables.append(self.refresh.table())
        return tables


@dataclass(frozen=True, kw_only=True)
class PriorsBench(BenchCommand):
    """Measure the embedded prior provider on pictures that it was not trained on.

    `scores`: precision, accuracy and calibration per kind on the fixed test set. `places`: recorded
    pictures as they are, place by place, also of places that were trained on; `left-out`: the same
    of heads refitted without the place, which takes minutes. `night`: low light
    on msrs. `smoke`: a recording of smoke and single frames. `cost`: per call, and of the
    scene-change detector per frame. `refresh`: the frame path with and without refreshes by a
    provider that takes two seconds.
    """

    parts: tyro.conf.Positional[tuple[Part, ...]] = ()
    """Parts to run; all when not given."""
    data: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Folder of the recordings; not needed for cost and refresh."""
    weights: Annotated[Path, tyro.conf.arg(metavar="FILE")] = SHIPPED
    """Weights of the provider."""
    pictures: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Draw into this folder: degradations.jpg, and with smoke priors_smoke.png."""

    def measure(self) -> PriorsResult:
        """Run the parts."""
        parts = self.parts or get_args(Part)
        provider = EmbeddedProvider(self.weights)
        pair = street_pair() if {"cost", "refresh"} & set(parts) or self.pictures else None
        smoke = thumbnails = None
        if "smoke" in parts:
            smoke, thumbnails = video_curve(self._data() / _SMOKE, provider)
        if self.pictures:
            assert pair is not None
            draw_degradations(pair, self.pictures / "degradations.jpg")
            if smoke and thumbnails:
                draw_curve(smoke, thumbnails, self.pictures / "priors_smoke.png")
        scores = "scores" in parts
        return PriorsResult(
            testset=f"{VERSION}, {checksum(self._data())}" if scores else "",
            scores=self._scores() if scores else (),
            night=night_probabilities(self._data() / "msrs", provider)
            if "night" in parts
            else None,
            smoke=smoke,
            likely=likely_kinds(self._data() / "video_frames", provider) if smoke else None,
            places=answer_places(self._visible(), self._data()) if "places" in parts else (),
            left_out=answer_left_out(self._visible(), self._data()) if "left-out" in parts else (),
            cost=measure_cost(pair) if pair and "cost" in parts else None,
            refresh=measure_refresh(pair) if pair and "refresh" in parts else None,
        )

    def _visible(self) -> PriorNet:
        return load_prior(self.weights)[0]

    def _scores(self) -> tuple[ModalityScores, ...]:
        modalities: tuple[Modality, ...] = ("visible", "thermal")
        networks = load_prior(self.weights)
        return tuple(
            score_network(network, modality, *read_testset_rows(self._data(), modality))
            for modality, network in zip(modalities, networks, strict=True)
        )

    def _data(self) -> Path:
        if self.data is None:
            raise UsageError("priors are measured on recordings: give their folder by --data")
        return self.data


def draw_degradations(pair: AlignedPair, path: Path) -> None:
    """Draw a contact sheet of all kinds at three severities."""
    assert pair.visible is not None
    assert pair.thermal is not None
    tiles = []
    for kind in ORDER:
        gray = kind == "stripes"
        picture = pair.thermal if gray else pair.visible.astype(np.float32) / np.float32(255)
        for severity in SEVERITIES:
            image = Degrader({kind: severity}, 5).apply(picture).image
            pixels = np.rint(image * 255).astype(np.uint8)
            colour = cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB) if gray else pixels
            # Cut from the middle at full size: noise and blocks vanish in a thumbnail.
            tile = cv2.resize(colour[120:420, 120:520], (200, 150), interpolation=cv2.INTER_AREA)
            label = f"{kind} {severity}"
            cv2.putText(tile, label, (4, 13), 0, 0.4, (255, 255, 0), 1, cv2.LINE_AA)
            tiles.append(tile)
    rows = [np.hstack(tiles[start : start + 6]) for start in range(0, len(tiles), 6)]
    write_picture(path, np.vstack(rows).astype(np.uint8))
