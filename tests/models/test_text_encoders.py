"""One contract for all text encoders: the one that ships, and tiny random ones of real classes."""

import logging

import pytest
import tiny_models
import torch

from fusion_core.errors import UsageError, WeightsError
from fusion_core.models.mmaif.text import EmbeddedTextEncoder, open_text_encoder
from fusion_core.models.mmaif.text.network import TextConfig, WishNetwork
from fusion_core.models.mmaif.text.weights import SHIPPED, load_text, save_text
from fusion_core.sentences import PLAIN, SLIGHT, STRONG, WISH_SIZE, Wish, known_words
from fusion_lab.training.text.trainer import check_sentences, read_wishes

# Of whole wishes with all their strengths, in phrasings of the training and in others.
RECOVERED = {False: 0.65, True: 0.5}
TEXTS = ["remove the haze", "please show all people a little brighter, and no more noise"]


def _embedded(folder):
    torch.manual_seed(0)
    save_text(WishNetwork(TextConfig(known_words(), blocks=1)), folder / "text.safetensors", {})
    return folder / "text.safetensors"


CASES = {
    "embedded": _embedded,
    "t5": tiny_models.t5,
    "clip-text": tiny_models.clip_text,
    "minilm": tiny_models.minilm,
}


@pytest.fixture(scope="module", params=CASES)
def encoder(request, tmp_path_factory):
    if request.param != "embedded":
        pytest.importorskip("transformers")
    path = CASES[request.param](tmp_path_factory.mktemp(request.param))
    return open_text_encoder(request.param, str(path))


class TestContract:
    def test_tokens_of_several_sentences(self, encoder):
        cue = encoder.encode(TEXTS)
        batch, length, width = cue.tokens.shape
        assert (batch, width) == (2, encoder.dim)
        assert cue.mask.shape == (2, length)
        assert cue.mask.dtype == torch.bool
        assert cue.mask[:, 0].all()
        assert cue.mask[0].sum() < cue.mask[1].sum() == length
        assert cue.tokens.isfinite().all()

    def test_a_sentence_does_not_see_its_neighbours(self, encoder):
        together, alone = encoder.encode(TEXTS), encoder.encode(TEXTS[:1])
        count = alone.tokens.shape[1]
        assert together.mask[0].sum() == count
        torch.testing.assert_close(
            together.tokens[0, :count], alone.tokens[0], atol=1e-5, rtol=1e-4
        )

    def test_other_words_give_another_first_token(self, encoder):
        first = encoder.encode(["remove the haze", "keep the snow"]).tokens[:, 0]
        assert not torch.allclose(first[0], first[1])

    def test_an_empty_sentence_and_a_very_long_one(self, encoder):
        cue = encoder.encode(["", "remove the haze and " * 60])
        assert cue.mask[0, 0]
        assert cue.tokens[cue.mask].isfinite().all()

    def test_nothing_of_it_is_trained_or_saved(self, encoder):
        assert not encoder.encode(TEXTS).tokens.requires_grad
        assert not list(encoder.parameters())
        assert not encoder.state_dict()

    def test_it_follows_to_another_type(self, encoder):
        encoder.to(torch.float64)
        assert encoder.encode(TEXTS).tokens.dtype == torch.float64
        encoder.to(torch.float32)


def test_an_unknown_encoder_is_named_with_the_known():
    with pytest.raises(UsageError, match=r"'bert': unknown; known: embedded, t5"):
        open_text_encoder("bert")


def test_absent_weights_are_named(tmp_path):
    with pytest.raises(WeightsError, match="nowhere"):
        open_text_encoder("minilm", str(tmp_path / "nowhere")).encode(TEXTS)
    with pytest.raises(WeightsError, match=r"nowhere.*fusion train --model mmaif-text"):
        EmbeddedTextEncoder(str(tmp_path / "nowhere")).encode(TEXTS)


@pytest.mark.parametrize("share", [0, 0.5])
def test_a_torn_file_is_refused(tmp_path, share):
    path = _embedded(tmp_path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(WeightsError, match="mmaif-text"):
        load_text(path)


@pytest.fixture(scope="module")
def shipped():
    return EmbeddedTextEncoder()


class TestShipped:
    def test_it_fits_its_limits(self, shipped):
        assert sum(p.numel() for p in shipped.held.model.parameters()) <= 2_000_000
        assert SHIPPED.stat().st_size <= 4_000_000
        assert shipped.dim == 128

    def test_its_words_are_those_of_the_phrasings(self, shipped):
        assert shipped.held.model.config.words == known_words()

    def test_the_first_token_is_the_wish(self, shipped):
        first = shipped.encode(["remove the haze completely"]).tokens[0, 0]
        wish = Wish.from_vector(first[:WISH_SIZE].numpy())
        assert wish == shipped.wish("remove the haze completely") == Wish({"haze": STRONG})
        assert not first[WISH_SIZE:].any()

    @pytest.mark.parametrize(
        ("text", "wish"),
        [
            ("remove the haze", Wish({"haze": PLAIN})),
            ("slightly remove the fog", Wish({"haze": SLIGHT})),
            ("Don't remove the rain.", Wish(keep=frozenset({"rain"}))),
            ("show people brightly", Wish(targets={"people": PLAIN})),
            ("highlight what is hot", Wish(targets={"hot": PLAIN})),
            ("denoise the picture", Wish({"noise": PLAIN})),
            ("make it slightly brighter", Wish(styles={"bright": SLIGHT})),
            ("merge the exposures", Wish(task="mef")),
            (
                "remove the haze, show people brightly",
                Wish({"haze": PLAIN}, targets={"people": PLAIN}),
            ),
            (
                "please less dullness, it is misty here",
                Wish({"haze": PLAIN, "low_contrast": PLAIN}),
            ),
            ("remove the smoke but keep the snow", Wish({"smoke": PLAIN}, frozenset({"snow"}))),
            ("", Wish()),
            ("just show the picture", Wish()),
        ],
    )
    def test_what_people_type(self, shipped, text, wish):
        assert shipped.wish(text) == wish

    def test_unknown_words_say_nothing_and_are_named(self, shipped, caplog):
        with caplog.at_level(logging.WARNING):
            shipped.encode(["remove the zebra and the Xylophone, remove the zebra"])
        assert [record.getMessage() for record in caplog.records] == [
            "text 'remove the zebra and the Xylophone, remove the zebra': 'zebra', 'xylophone': "
            "unknown, says nothing; use other words"
        ]
        assert shipped.wish("remove the zebra") == Wish()
        caplog.clear()
        shipped.encode(TEXTS)
        assert not caplog.records

    def test_what_is_too_long_is_cut_with_a_warning(self, shipped, caplog):
        with caplog.at_level(logging.WARNING):
            shipped.encode(["remove the haze and " * 40])
        assert "only the first 95 are read" in caplog.text

    @pytest.mark.parametrize("held_out", [False, True])
    def test_it_recovers_random_wishes(self, shipped, held_out):
        """Whole wishes, of up to a dozen parts, in phrasings of the training and in others."""
        pairs = check_sentences(150, held_out=held_out)
        found = read_wishes(shipped.held.model, [text for text, _ in pairs])
        right = [wish == said for wish, (_, said) in zip(found, pairs, strict=True)]
        assert sum(right) >= RECOVERED[held_out] * len(pairs)
