"""The contract that every provider keeps, on real classes with small random weights."""

import sys

import numpy as np
import pytest
import tiny_models
import torch

from fusion_core.errors import MissingExtraError, WeightsError
from fusion_core.priors import THERMAL_KINDS, VISIBLE_KINDS, PriorsConfig, open_provider
from fusion_core.priors.checkpoint import save_prior
from fusion_core.priors.embedded import EmbeddedProvider
from fusion_core.priors.network import PriorNet
from fusion_core.priors.prompts import BAD, GOOD, QUESTIONS, contrast, question

pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    made = {}

    def folder(name):
        if name not in made:
            made[name] = getattr(tiny_models, name)(tmp_path_factory.mktemp(name))
        return str(made[name])

    return folder


@pytest.fixture(scope="module", params=["embedded", "clip", "siglip", "blip2"])
def provider(request, folders, tmp_path_factory):
    name = request.param
    if name == "embedded":
        torch.manual_seed(0)
        path = tmp_path_factory.mktemp("embedded") / "prior.safetensors"
        save_prior(PriorNet("visible"), PriorNet("thermal"), path, {})
        return EmbeddedProvider(path)
    kind = "clip" if name == "siglip" else name
    return open_provider(kind, PriorsConfig(weights=folders(name)), "cpu")


@pytest.fixture(scope="module")
def visible():
    return np.random.default_rng(1).integers(0, 256, (60, 90, 3), np.uint8)


@pytest.fixture(scope="module")
def thermal():
    return np.random.default_rng(2).random((60, 90)).astype(np.float32)


@pytest.fixture(scope="module")
def small(folders):
    """A tiny BLIP-2."""
    return open_provider("blip2", PriorsConfig(weights=folders("blip2")), "cpu")


class TestContract:
    def test_all_kinds_of_both_pictures_have_a_probability(self, provider, visible, thermal):
        found = provider.assess(visible, thermal)
        assert tuple(found.visible) == VISIBLE_KINDS
        assert tuple(found.thermal) == THERMAL_KINDS
        scores = [*found.visible.values(), *found.thermal.values(), found.quality]
        assert all(type(score) is float and 0 <= score <= 1 for score in scores)

    def test_tokens_are_as_wide_as_announced(self, provider, visible, thermal):
        tokens = provider.assess(visible, thermal).tokens
        assert tokens.dtype == np.float32
        assert tokens.ndim == 2
        assert tokens.shape[1] == provider.dim
        assert len(tokens) >= 1
        assert np.isfinite(tokens).all()

    def test_the_same_pair_gives_the_same_answer(self, provider, visible, thermal):
        first, second = (provider.assess(visible, thermal) for _ in range(2))
        assert first.visible == second.visible
        assert first.quality == second.quality
        assert np.array_equal(first.tokens, second.tokens)

    def test_another_picture_gives_another_answer(self, provider, visible, thermal):
        first, second = provider.assess(visible, thermal), provider.assess(255 - visible, thermal)
        assert first.visible != second.visible
        assert first.thermal == second.thermal
        assert not np.array_equal(first.tokens, second.tokens)

    def test_a_missing_picture_has_no_degradations(self, provider, visible, thermal):
        only_visible, only_thermal = provider.assess(visible, None), provider.assess(None, thermal)
        assert only_visible.thermal == {} == only_thermal.visible
        assert set(only_visible.visible) == set(VISIBLE_KINDS)
        assert only_visible.tokens.shape[1] == only_thermal.tokens.shape[1] == provider.dim

    def test_the_input_is_left_alone(self, provider, visible, thermal):
        before = visible.copy(), thermal.copy()
        provider.assess(visible, thermal)
        assert np.array_equal(visible, before[0])
        assert np.array_equal(thermal, before[1])


class TestMissing:
    @pytest.mark.parametrize("name", ["clip", "blip2"])
    def test_absent_weights_say_what_where_and_how(self, name, tmp_path):
        config = PriorsConfig(weights=str(tmp_path / "nowhere"))
        with pytest.raises(WeightsError) as caught:
            open_provider(name, config, "cpu")
        message = str(caught.value)
        assert all(word in message for word in (name, "nowhere", "hf download", "priors.weights"))
        assert "\n" not in message

    @pytest.mark.parametrize("name", ["clip", "blip2"])
    def test_an_absent_package_names_the_extra(self, name, monkeypatch):
        monkeypatch.setitem(sys.modules, "transformers", None)
        with pytest.raises(MissingExtraError, match=r"\.\[vlm\]"):
            open_provider(name, PriorsConfig(), "cpu")

    def test_weights_of_another_kind_of_model_are_refused(self, folders):
        with pytest.raises(WeightsError, match="give a CLIP or SigLIP"):
            open_provider("clip", PriorsConfig(weights=folders("opt")), "cpu")

    def test_an_encoder_decoder_is_refused(self, tmp_path):
        weights = str(tiny_models.blip2(tmp_path, "t5"))
        with pytest.raises(WeightsError, match="decoder only"):
            open_provider("blip2", PriorsConfig(weights=weights), "cpu")


class TestClip:
    def test_the_quality_is_the_formula_of_the_paper(self, folders, visible):
        """sigmoid(s (cos(I, mean T+) - cos(I, mean T-))), with transformers' own features."""
        from torch.nn import functional as F
        from transformers import AutoTokenizer, CLIPModel

        from fusion_core.priors.pixels import normalisation, to_pixels

        folder = folders("clip")
        model, words = CLIPModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
        with torch.no_grad():
            texts = [
                words(list(part), padding="max_length", max_length=40, return_tensors="pt")
                for part in (GOOD, BAD)
            ]
            good, bad = (
                F.normalize(
                    F.normalize(model.get_text_features(**t).pooler_output, dim=1).mean(0), dim=0
                )
                for t in texts
            )
            pixels = to_pixels(visible, 32, normalisation(folder))
            image = F.normalize(
                model.get_image_features(pixel_values=pixels).pooler_output[0], dim=0
            )
            expected = torch.sigmoid(model.logit_scale.exp() * (image @ good - image @ bad))
        provider = open_provider("clip", PriorsConfig(weights=folder), "cpu")
        assert provider.assess(visible, None).quality == pytest.approx(float(expected), abs=1e-5)

    def test_positive_and_negative_sentences_share_none(self):
        """The paper's lists do, which draws its score to one half."""
        assert not set(GOOD) & set(BAD)
        for modality, kinds in (("visible", VISIBLE_KINDS), ("thermal", THERMAL_KINDS)):
            for kind in kinds:
                good, bad = contrast(kind, modality)
                assert good
                assert bad
                assert not set(good) & set(bad)


class TestBlip2:
    def test_tokens_are_those_of_the_whole_model(self, folders, small, visible):
        """Against the forward pass of transformers, with placeholders where the picture goes."""
        from transformers import AutoTokenizer, Blip2ForConditionalGeneration

        from fusion_core.priors.pixels import normalisation, to_pixels

        folder = folders("blip2")
        model = Blip2ForConditionalGeneration.from_pretrained(folder).eval()
        words = AutoTokenizer.from_pretrained(folder)
        asked = words(f"Question: {QUESTIONS[0]} Answer:", return_tensors="pt").input_ids
        place = 2  # <unk> does not occur in the question
        model.config.image_token_id = place
        with torch.no_grad():
            output = model(
                pixel_values=to_pixels(visible, 28, normalisation(folder)),
                input_ids=torch.cat((torch.full((1, 6), place), asked), 1),
                output_hidden_states=True,
            )
        expected = output.language_model_outputs.hidden_states[-1][0].numpy()
        assert np.allclose(small.assess(visible, None).tokens, expected, atol=1e-5)

    def test_padding_of_shorter_questions_does_not_change_their_answers(self, small, visible):
        seen = small._embed(visible)
        texts = [question("haze"), question("clean"), question("smoke")]
        together = small._yes(seen, texts)
        alone = [small._yes(seen, [entry])[0] for entry in texts]
        assert together == pytest.approx(alone, abs=1e-5)

    def test_the_sweep_covers_every_question(self, small, visible):
        found = small.sweep(visible)
        assert tuple(found) == QUESTIONS
        lengths = {asked: len(tokens) for asked, tokens in found.items()}
        assert len(set(lengths.values())) > 1
        assert np.array_equal(found[QUESTIONS[0]], small.assess(visible, None).tokens)
