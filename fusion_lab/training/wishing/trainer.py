"""Training of MMAIF: a step of one task after the other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from fusion_core.models import Cues, TextCue
from fusion_core.models.mmaif import MMAIF
from fusion_core.models.mmaif.flow import noised
from fusion_core.models.mmaif.joiner import join
from fusion_core.models.mmaif.refiner import Told
from fusion_core.models.mmaif.transformer import Asked, Latent
from fusion_core.models.mmaif.weather import Weather
from fusion_core.priors.embedded import EmbeddedProvider
from fusion_lab.data import Example, FusionTask, split_by_scene
from fusion_lab.training.fuser_trainer import FuserTrainer
from fusion_lab.training.loop import Place
from fusion_lab.training.shared_init import build_variant
from fusion_lab.training.sheet import write_sheet
from fusion_lab.training.wishing.gates import fit_gates
from fusion_lab.training.wishing.objective import latent_terms, opened_terms, restored_terms
from fusion_lab.training.wishing.pool import WishingBatch, WishingPool, cropped
from fusion_lab.training.wishing.recipe import WishingRecipe
from fusion_lab.training.wishing.samples import SampleMaker, as_image

_VALIDATED: Final = 4  # held-out sets per task
_CHECKED: Final = 1_000_003  # number of the first of them


class WishingTrainer(FuserTrainer[WishingRecipe, MMAIF]):
    """One run.

    Args:
        recipe: What to do.
        pairs: Visible and thermal pairs; some scenes are held out.
        sharp: Further sharp pictures, as examples whose second picture is not used.
        place: Where and how.
        resume: Continue from the checkpoint in ``place.out``.

    Raises:
        UsageError: The folder holds a run already, or the recipe or data to resume have changed.
        WeightsError: The checkpoint to resume is missing, torn or foreign, or the weights of codec
            or text encoder are not on this machine.
    """

    def __init__(
        self,
        recipe: WishingRecipe,
        pairs: Sequence[Example],
        sharp: Sequence[Example],
        place: Place,
        *,
        resume: bool = False,
    ) -> None:
        self._provider = EmbeddedProvider()
        network = build_variant(recipe.model, place.seed, recipe.network)
        assert isinstance(network, MMAIF), "sentences are followed by MMAIF"
        kept, held = split_by_scene(pairs, place.hold_out, place.seed)
        self._counted = {"pairs": len(kept), "held_out": len(held), "sharp": len(sharp)}

        tasks = dict.fromkeys(recipe.turns)
        self._examples, self._held = (
            {task: [*part] if task == "vif" else [*part, *sharp] for task in tasks if part}
            for part in (kept, held)
        )
        super().__init__(recipe, network, place, resume=resume)
        self._pools = {
            task: WishingPool(self._maker(task, found, recipe), recipe, place.seed)
            for task, found in self._examples.items()
        }
        self._checks = {
            task: self._maker(task, found, recipe) for task, found in self._held.items()
        }

    def _maker(
        self, task: FusionTask, examples: Sequence[Example], recipe: WishingRecipe
    ) -> SampleMaker:
        return SampleMaker(
            task,
            [*examples],
            recipe,
            self._join,
            encode=self._encode,
            see_through=self._see_through,
            seed=self.place.seed,
        )

    def _optimiser(self) -> torch.optim.Optimizer:
        r = self.recipe
        transformer = [*self.model.transformer.parameters()]
        refiner = self.model.refiner
        # Logarithms and logits have further to go than weights.
        rules = [
            *refiner.luma.parameters(),
            *refiner.colours.parameters(),
            self.model.controls.closed,
            self.model.controls.said,
        ]
        fitted = *self.model.looks.parameters(), *self.model.diagnosis.parameters()
        known = {id(p) for p in (*transformer, *rules, *fitted)}
        others = [p for p in self.model.parameters() if id(p) not in known]
        groups: list[dict[str, Any]] = [
            {"params": others},
            {"params": transformer, "share": r.transformer_rate},
            {"params": rules, "share": r.rules_rate, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, weight_decay=r.weight_decay)

    def _load(self) -> None:
        """Load the weights that the run starts from."""
        super()._begin()

    def _begin(self) -> None:
        self._load()
        # They read the wish itself: nothing is left to learn from pictures.
        fit_gates(self.model.looks, self.place.seed)

    def _losses(self) -> dict[str, Tensor]:
        task = self.recipe.turns[self.step % len(self.recipe.turns)]
        rounds, place = divmod(self.step, len(self.recipe.turns))
        before = rounds * self.recipe.turns.count(task) + self.recipe.turns[:place].count(task)
        batch = self._pools[task].batch(self.step, before).to(self.place.device)
        torch.manual_seed((self.place.seed << 32) + self.step)
        terms = self._terms(self.model, batch, task)
        named = {f"{task}/{name}": value for name, value in terms.items()}
        return {**named, "total": torch.stack(list(terms.values())).sum()}

    def _terms(self, model: MMAIF, batch: WishingBatch, task: FusionTask) -> dict[str, Tensor]:
        """Return the weighted terms of a batch."""
        asked, removed = self._heard(model, batch, task)
        first, second, target = (latent[:, 0] for latent in batch.latents.chunk(3, 1))
        with self._autocast():
            latent, made, wanted = self._latent(model, (first, second), target, batch, asked)
            told = model.told(latent, asked, removed)
            crop = _cropped(told, batch, model)
            refined = model.restore(
                (batch.first, batch.second), batch.measured, batch.weather, crop, asked
            )
        w = self.recipe.loss
        terms = restored_terms(refined, batch, task, w)
        terms |= opened_terms(told.controls, batch, w)
        return terms | latent_terms(made.float(), wanted, latent, w)

    def _latent(
        self,
        model: MMAIF,
        latents: tuple[Tensor, Tensor],
        target: Tensor,
        batch: WishingBatch,
        asked: Asked,
    ) -> tuple[Latent, Tensor, Tensor]:
        """Return the latent, what the transformer made, and what that should be."""
        evidence = [part.evidence for part in batch.measured]
        if model.config.objective == "regression":
            latent = model.transformer(latents, evidence, asked)
            return latent, latent.made, target
        noise = torch.randn_like(target)
        time = torch.randn(len(target), device=target.device).sigmoid()  # logit-normal
        state = noised(target, noise, time)
        flow = model.transformer(latents, evidence, asked, state, time)
        # Where the flow leads from here.
        end = state - time[:, None, None, None] * flow.made
        return flow._replace(made=end), flow.made, noise - target

    def _heard(self, model: MMAIF, batch: WishingBatch, task: FusionTask) -> tuple[Asked, Tensor]:
        """Return what is wanted as far as the pictures show it."""
        with torch.no_grad():
            return model.heard(self._asked(model, batch, task), batch.measured, batch.weather)

    def _asked(self, model: MMAIF, batch: WishingBatch, task: FusionTask) -> Asked:
        """Return what is wanted; sets about which nothing is said get the token for that."""
        said = self._said(model, batch)
        silent = torch.tensor([not sentence for sentence in batch.sentences])
        silent = silent.to(self.place.device)
        asked = model.asked(Cues(task=task, text=said), len(silent))
        none = model.asked(Cues(task=task), len(silent))
        first = torch.zeros_like(said.mask)
        first[:, 0] = True
        choose = silent[:, None]
        text = torch.where(choose[..., None], none.text.expand_as(asked.text), asked.text)
        weight = torch.where(choose, first.float(), asked.weight)
        return asked._replace(text=text, weight=weight, said=(~silent).float())

    def _said(self, model: MMAIF, batch: WishingBatch) -> TextCue:
        """Return the sentences as tokens, or, early on, the wishes as the only ones."""
        if self.step >= self.recipe.words_from:
            return model.text.encode(list(batch.sentences))
        tokens = F.pad(batch.wishes, (0, model.config.text - batch.wishes.shape[1]))[:, None]
        return TextCue(tokens, torch.ones_like(tokens[..., 0], dtype=torch.bool))

    @torch.no_grad()
    def _join(self, planes: Tensor, thermal: Tensor) -> Tensor:
        place = self.place.device
        return join(self.average.joiner.model, planes.to(place), thermal.to(place)).cpu()

    @torch.no_grad()
    def _encode(self, pictures: Tensor) -> Tensor:
        found: Tensor = self.average.encode(pictures.to(self.place.device)).cpu()
        return found

    @torch.no_grad()
    def _see_through(self, pictures: Tensor, task: FusionTask) -> Weather:
        place = self.place.device
        tokens = None
        if task == "vif":
            visible = as_image(pictures[:1])
            prior = self._provider.assess(visible, pictures[1, 0].numpy())
            tokens = torch.from_numpy(prior.tokens)[None].to(place)
        pair = [picture[None].to(place) for picture in pictures]
        found = self.average.see_through(pair, Cues(task=task, tokens=tokens))
        return Weather(*(part.cpu() for part in found))

    @torch.no_grad()
    def _validate(self, sheet: Path) -> dict[str, float]:
        """Return decibels of each task on held-out regions as asked for; draw them."""
        found, rows = {}, []
        for task, maker in self._checks.items():
            decibels = []
            for number in range(_VALIDATED):
                sample = maker.sample(_CHECKED + number)
                batch = cropped([sample], np.zeros((1, 2), int), self.recipe.region).to(
                    self.place.device
                )
                asked, removed = self._heard(self.average, batch, task)
                pictures = batch.first, batch.second
                first, second, target = (latent[:, 0] for latent in batch.latents.chunk(3, 1))
                latent = self._latent(self.average, (first, second), target, batch, asked)[0]
                told = self.average.told(latent, asked, removed)
                made = self.average.restore(pictures, batch.measured, batch.weather, told, asked)
                fused = made.sources[0] if task == "vif" else made.fused
                luma, wanted = fused[:, :1].clamp(0, 1), batch.target[:, :1]
                decibels.append(-10 * float(((luma - wanted).square().mean() + 1e-8).log10()))
                shown = [picture.mean(1, keepdim=True) for picture in pictures]
                rows.append([*shown, luma, wanted])
            found[f"{task}/db"] = float(np.mean(decibels))
        if rows:
            write_sheet(sheet, rows)
        return found

    def _counts(self) -> dict[str, int]:
        return self._counted


def _cropped(told: Told, batch: WishingBatch, model: MMAIF) -> Told:
    """Return latent, tokens and controls over the crops of their regions."""
    edge = batch.first.shape[-1]
    latent_step = 8 * model.config.reduce
    token_step = latent_step * model.config.patch

    def cut(part: Tensor, step: int) -> Tensor:
        size = edge // step
        planes = [
            plane[..., top // step : top // step + size, left // step : left // step + size]
            for plane, (top, left) in zip(part.unbind(-4), batch.corner.tolist(), strict=True)
        ]
        return torch.stack(planes, -4)

    latent = told.latent._replace(
        made=cut(told.latent.made, latent_step), hidden=cut(told.latent.hidden, token_step)
    )
    controls = told.controls._replace(placed=cut(told.controls.placed, token_step))
    return told._replace(latent=latent, controls=controls)
