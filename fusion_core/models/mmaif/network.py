"""MMAIF: a sentence says what is wanted of a fused picture, a latent transformer follows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from fusion_core.foundation import FrozenModel
from fusion_core.models.base import Fuser
from fusion_core.models.blocks.padding import PadToMultiple
from fusion_core.models.cues import NO_CUES, Cues, TextCue
from fusion_core.models.features import VISIBLE_INFRARED, Features
from fusion_core.models.mdaif import MdaIF
from fusion_core.models.mmaif.codec import EmbeddedCodec, LatentCodec
from fusion_core.models.mmaif.config import TASKS, MMAIFConfig, MMAIFOptions
from fusion_core.models.mmaif.controls import RuleControls
from fusion_core.models.mmaif.diagnosis import Diagnosis, heard, night
from fusion_core.models.mmaif.flow import sample
from fusion_core.models.mmaif.joiner import JOINER, join
from fusion_core.models.mmaif.looks import Looks, emphasised, styled
from fusion_core.models.mmaif.measuring import Measured, measure
from fusion_core.models.mmaif.planes import to_planes, to_rgb
from fusion_core.models.mmaif.refiner import GRID, Refined, Refiner, Told
from fusion_core.models.mmaif.smoke import beyond, light_passed, without_thick_smoke
from fusion_core.models.mmaif.steady import steady_diagnosis, steady_latent, steady_measures
from fusion_core.models.mmaif.text import EmbeddedTextEncoder
from fusion_core.models.mmaif.transformer import Asked, Latent, LatentTransformer
from fusion_core.models.mmaif.weather import PRIOR, WEATHER, Weather, see_through
from fusion_core.models.outputs import FuserOutput
from fusion_core.models.requirements import check_pictures
from fusion_core.models.stream import StreamState
from fusion_core.runtime.settings import Settings
from fusion_core.sentences import DEGRADATIONS, PLAIN

_MOST_PICTURES: Final = 9
_SMOKE: Final = DEGRADATIONS.index("smoke")


class Wished(NamedTuple):
    """Everything that the network makes of ``B`` sets of ``N`` pictures.

    Attributes:
        fused: ``Bx3xHxW`` luma, Cb and Cr, not clipped.
        refined: What the pixel network made of the sources.
        latent: What the transformer made; of a flow, with the latent at its end.
    """

    fused: Tensor
    refined: Refined
    latent: Latent


class MMAIF(Fuser):
    """Fuse two or more pictures of one of three tasks, restored as a sentence asks.

    A frozen codec gives the latents of the sources, a frozen encoder the tokens of the sentence; a
    transformer makes the latent of the fused picture (MMAIF, section 2). In the paper the codec
    paints the picture. Here latent, tokens and sentence steer a small network that restores the
    sources' own pixels, so that the codec is no limit: see :class:`Refiner`. Exposures and focus
    settings it weighs and joins itself; a restored visible and a restored thermal picture go
    through a frozen network that fuses them. What the sentence names is shown brightly, and how it
    shall look is what is done last: see :class:`Looks`.

    A diagnosis tells which degradations the pictures show: a sentence acts on those it names and
    they show. Without a sentence everything that they show is to be removed.

    Args:
        name: Name in the registry.
        config: Architecture.
        codec: Makes latents; None: the embedded one.
        text: Reads sentences; None: the embedded encoder.
    """

    features = Features(
        tasks=TASKS,
        gives="rgb",
        uses_prior=True,
        prior_width=PRIOR,
        uses_text=True,
        uses_mask=True,
        uses_stream=True,
        max_pictures=_MOST_PICTURES,
    )
    Options = MMAIFOptions
    options: MMAIFOptions
    config: MMAIFConfig

    def __init__(
        self,
        name: str,
        config: MMAIFConfig,
        codec: LatentCodec | None = None,
        text: EmbeddedTextEncoder | None = None,
    ) -> None:
        super().__init__(name, config)
        self.codec = codec or EmbeddedCodec()
        self.text = text or EmbeddedTextEncoder()
        self.pad = PadToMultiple(GRID)
        self.diagnosis = Diagnosis()
        self.transformer = LatentTransformer(config)
        self.controls = RuleControls(config)
        self.refiner = Refiner(config)
        self.looks = Looks(config.text)
        self.joiner = FrozenModel(JOINER)
        self.weather = FrozenModel(WEATHER)

    def configure(self, options: Settings) -> None:
        """Set the options; see :meth:`Fuser.configure`."""
        super().configure(options)
        for part, weights in (
            (self.codec, self.options.codec_weights),
            (self.text, self.options.text_weights),
        ):
            if weights and isinstance(part, EmbeddedCodec | EmbeddedTextEncoder):
                part.held.weights = weights

    def encode_text(self, text: str) -> TextCue:
        """Return a sentence as the network reads it; see :meth:`Fuser.encode_text`.

        An empty one gives the wish that everything goes.
        """
        if not text.strip():
            unsaid = self._unsaid("vif", 1)
            return TextCue(unsaid.text.detach(), unsaid.weight > 0)
        found: TextCue = self.text.encode([text])
        return found

    def named(self, text: str) -> frozenset[str]:
        """Return what a sentence names to be shown; see :meth:`Fuser.named`."""
        return frozenset(self.text.wish(text).targets)

    def fuse(self, first: Tensor, second: Tensor, cues: Cues) -> FuserOutput:
        """Fuse checked inputs; see :meth:`Fuser.forward`."""
        return FuserOutput(to_rgb(self.follow((first, second), cues).fused))

    def fuse_many(self, pictures: Sequence[Tensor], cues: Cues = NO_CUES) -> FuserOutput:
        """Fuse all pictures as one set; see :meth:`Fuser.fuse_many`."""
        named = {f"picture {number}": p for number, p in enumerate(pictures, start=1)}
        check_pictures(self.name, 3, **named)
        cues = self.complete_cues(pictures[0], cues)
        return FuserOutput(to_rgb(self.follow(pictures, cues).fused))

    def follow(self, pictures: Sequence[Tensor], cues: Cues) -> Wished:
        """Fuse and return everything, for training and analysis.

        Args:
            pictures: Two or more of ``Bx3xHxW`` RGB in [0, 1], with ``vif`` the visible one first.
            cues: Task, text, mask, tokens of the prior, what is kept of a stream and, for a flow,
                the source of its noise.
        """
        pictures = [picture.float() for picture in pictures]
        measured = [measure(self.pad(to_planes(picture))) for picture in pictures]
        if cues.stream is not None:
            measured = steady_measures(measured, cues.stream)
        weather = self.see_through(pictures, cues)
        asked = self.asked(cues, len(pictures[0]))
        asked, removed = self.heard(asked, measured, weather, cues.stream)
        evidence = [found.evidence for found in measured]
        latents = self.encode(torch.cat(pictures)).chunk(len(pictures))
        if self.config.objective == "flow":
            latent = sample(
                self.transformer,
                latents,
                evidence,
                asked,
                self.options,
                unasked=self._unsaid(asked.task, len(asked.text)),
                generator=_same_start(cues.generator),
            )
        else:
            latent = self.transformer(latents, evidence, asked)
        if cues.stream is not None:
            latent = steady_latent(latent, measured, cues.stream)
        told = self.told(latent, asked, removed)
        refined = self.restore(pictures, measured, weather, told, asked)
        if asked.task == VISIBLE_INFRARED:
            far = beyond(removed[0, :, _SMOKE])
            refined = self._without_thick_smoke(refined, pictures[0], measured[0], far)
        return Wished(self.finish(refined, asked, cues.mask), refined, latent)

    def heard(
        self,
        asked: Asked,
        measured: Sequence[Measured],
        weather: Weather,
        stream: StreamState | None = None,
    ) -> tuple[Asked, Tensor]:
        """Return what is wanted of pictures of which this is measured; see :func:`heard`."""
        shown = self.diagnosis(measured, weather, asked.task)
        if stream is not None:
            shown = steady_diagnosis(shown, stream)
        return heard(asked, shown, night(measured))

    def encode(self, picture: Tensor) -> Tensor:
        """Return the latent ``BxCxhxw`` of ``Bx3xHxW`` RGB in [0, 1]."""
        seen = self.pad(picture)
        if self.config.reduce > 1:
            seen = F.avg_pool2d(seen, self.config.reduce)
        return self.codec.encode(seen)

    def see_through(self, pictures: Sequence[Tensor], cues: Cues) -> Weather:
        """Return what experts see through the weather, of the pictures that have colours.

        Of exposures and focus settings these are all of them, one after the other; the others of
        the set stand for the thermal picture.

        Args:
            pictures: See :meth:`follow`.
            cues: Task, and tokens of the prior.
        """
        planes = [self.pad(to_planes(picture)) for picture in pictures]
        lumas = torch.stack([part[:, :1] for part in planes])
        experts = self.weather.model
        assert isinstance(experts, MdaIF), "MdaIF's experts restore"
        if cues.task == VISIBLE_INFRARED:
            return see_through(experts, planes[0], lumas[1:].amax(0), cues.tokens)
        others = (lumas.sum(0) - lumas) / (len(planes) - 1)
        return see_through(experts, torch.cat(planes), others.flatten(0, 1), None)

    def told(self, latent: Latent, asked: Asked, removed: Tensor) -> Told:
        """Return what the restoration of pictures follows; see :func:`heard`."""
        controls = self.controls(latent, removed, asked.task)
        return Told(self.transformer.condition(asked), latent, controls)

    def restore(
        self,
        pictures: Sequence[Tensor],
        measured: Sequence[Measured],
        weather: Weather,
        told: Told,
        asked: Asked,
    ) -> Refined:
        """Restore the sources' own pixels; see :meth:`follow`."""
        height, width = pictures[0].shape[-2:]
        padded = [self.pad(to_planes(picture)) for picture in pictures]
        made = self.refiner(padded, measured, weather, told, asked.task)
        return Refined(*(part[..., :height, :width] for part in made))

    def _without_thick_smoke(
        self, refined: Refined, visible: Tensor, measured: Measured, amount: Tensor
    ) -> Refined:
        if not bool((amount > 0).any()):
            return refined
        passed = light_passed(self.pad(to_planes(visible))[:, :1], measured.veil)
        thermal = refined.sources[1:, :, :1].amax(0).clamp(0, 1)
        first = without_thick_smoke(refined.sources[0], thermal, passed, amount)
        return Refined(first, torch.cat((first[None], refined.sources[1:])))

    def finish(self, refined: Refined, asked: Asked, mask: Tensor | None) -> Tensor:
        """Return ``Bx3xHxW`` luma, Cb and Cr, not clipped, of restored sources."""
        fused = refined.fused
        thermal = refined.sources[1:, :, :1].amax(0)
        if asked.task == VISIBLE_INFRARED:
            fused = join(self.joiner.model, refined.sources[0], thermal)
        if not bool(asked.said.any()):
            return fused
        look = self.looks(asked.text[:, 0])
        fused = styled(fused, look)
        if asked.task == VISIBLE_INFRARED:
            fused = emphasised(fused, thermal, mask, look)
        return fused

    def asked(self, cues: Cues, batch: int) -> Asked:
        """Return what is wanted, for a batch of this size."""
        if cues.text is None:
            return self._unsaid(cues.task, batch)
        tokens, mask = cues.text.tokens, cues.text.mask
        if len(tokens) != batch:
            tokens, mask = tokens.expand(batch, -1, -1), mask.expand(batch, -1)
        return Asked(cues.task, tokens, mask.to(tokens), tokens.new_ones(batch))

    def _unsaid(self, task: str, batch: int) -> Asked:
        """Return the wish that everything goes, which nobody said."""
        like = self.controls.said
        tokens = like.new_zeros(batch, 1, self.config.text)
        tokens[..., : len(DEGRADATIONS)] = PLAIN
        return Asked(task, tokens, torch.ones_like(tokens[..., 0]), tokens.new_zeros(batch))


def _same_start(generator: torch.Generator | None) -> torch.Generator | None:
    """Return a generator at its seed: equal noise for every picture keeps a still scene still."""
    return None if generator is None else generator.manual_seed(generator.initial_seed())
