"""What the shipped MMAIF follows, and what its parts are worth."""

import pytest
import torch
from first_street import first_street

from fusion_core.models import Cues, load_model
from fusion_core.models.mmaif.planes import to_planes
from fusion_core.priors import assess_pair
from fusion_core.priors.embedded import EmbeddedProvider
from fusion_lab.benches.mechanisms.bench import measure_parts
from fusion_lab.benches.mechanisms.bypass import Sample
from fusion_lab.benches.mechanisms.mmaif import SYSTEM, run
from fusion_lab.data import aligned_pair
from fusion_lab.training.wishing.samples import as_image, as_tensor, degraded

SENTENCES = {
    "noise": "remove the noise",
    "haze": "remove the haze",
    "low_light": "the picture is too dark, fix it",
}
# Decibels of the restored visible picture that are lost without a part, at least.
LOST = {
    ("text", "none"): 0.08,
    ("text", "another picture's"): 4.0,
    ("text", "its values shuffled"): 4.0,
    ("rules", "shut"): 3.5,
    ("weather", "not seen through"): 0.25,
}


@pytest.fixture(scope="module")
def net():
    return load_model("mmaif")


@pytest.fixture(scope="module")
def street():
    """Visible and thermal picture of a synthetic street, at half their size."""
    return first_street(2)


def sample_of(net, street, kind):
    bad = as_tensor(degraded(street["visible"], {kind: 0.7}, 3))
    cues = Cues(text=net.encode_text(SENTENCES[kind]))
    clean = to_planes(as_tensor(street["visible"]))[0, 0]
    return Sample(as_tensor(street["thermal"]), bad, cues, clean)


@pytest.fixture(scope="module")
def samples(net, street):
    return [sample_of(net, street, kind) for kind in SENTENCES]


@pytest.mark.parametrize("place", range(len(SENTENCES)))
def test_the_right_sentence_restores_more_than_a_wrong_one(net, samples, place):
    sample, other = samples[place], samples[place - 1]
    with torch.inference_mode():
        right = run(net, sample, sample.cues).figure
        wrong = run(net, sample, other.cues).figure
        before = to_planes(sample.visible)[0, 0]
    degraded_db = -10 * float((before - sample.reference).square().mean().log10())
    assert right > wrong + 1
    assert right > degraded_db + 1


def removed(net, street, sentence, kind):
    """Share of a degradation's squared error that a sentence removes from the visible picture."""
    bad = as_tensor(degraded(street["visible"], {kind: 0.7}, 3))
    clean = to_planes(as_tensor(street["visible"]))[0, 0]
    prior = assess_pair(EmbeddedProvider(), aligned_pair(as_image(bad), street["thermal"]))
    cues = Cues(text=net.encode_text(sentence), tokens=torch.from_numpy(prior.tokens)[None])
    with torch.inference_mode():
        left = run(net, Sample(as_tensor(street["thermal"]), bad, cues, clean), cues).figure
    before = (to_planes(bad)[0, 0] - clean).square().mean()
    return 1 - 10 ** (-left / 10) / float(before)


@pytest.mark.parametrize("kind", SENTENCES)
def test_a_sentence_acts_on_what_it_names_and_leaves_the_rest(net, street, kind):
    for named, sentence in SENTENCES.items():
        share = removed(net, street, sentence, kind)
        assert share > 0.25 if named == kind else abs(share) < 0.15, (named, share)


def test_every_part_is_worth_something(net, samples):
    found = {
        (effect.part, effect.how): -effect.difference
        for effect in measure_parts(net, SYSTEM, samples, seeds=1)
    }
    for way, least in LOST.items():
        assert found[way] > least, way
