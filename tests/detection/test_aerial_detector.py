"""The detector that ships for the view from a drone."""

import pytest

from fusion_core.config import Config
from fusion_core.detection import Detector
from fusion_core.detection.detector import SHIPPED, resolve
from fusion_core.pipeline.threads import fusion_threads
from fusion_lab.benches.detector.places import measure_places
from fusion_lab.training.detector.rendered import render_aerial


@pytest.mark.parametrize("name", SHIPPED)
def test_every_detector_that_ships_is_for_pairs_and_has_a_card(name):
    detector = Detector(name)
    assert detector.takes_pair
    assert detector.class_names.known == ("person", "vehicle", "cycle")
    assert resolve(name).with_suffix(".md").is_file()
    # It works beside the fusion, which leaves it half of the threads.
    assert fusion_threads(Config.from_dict({"threads": 4, "detector": name})) == 2


def test_the_street_keeps_its_detector():
    assert resolve("default").name == "pair-nano.onnx"
    assert Config().detector == "default"


def test_from_the_air_it_finds_several_times_what_the_one_for_the_street_does(tmp_path):
    """Pairs of seeds that no training drew: its own end at 599."""
    render_aerial(tmp_path, range(1000, 1012))
    aerial, street = (
        {score.label: score for score in measure_places([tmp_path], name, {}).scores}
        for name in ("pair-nano-aerial", "default")
    )
    assert aerial["person"].objects > 50
    assert aerial["vehicle"].objects > 30
    for label, least in (("person", 0.35), ("vehicle", 0.7)):
        ap50 = aerial[label].figures["ap50"].value
        assert ap50 > least
        assert ap50 > 2 * street[label].figures["ap50"].value
