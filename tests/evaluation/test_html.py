"""The evaluation page: whole, self-contained, with the right pictures."""

import base64
import re
from html.parser import HTMLParser

import cv2
import numpy as np

from fusion_lab.data import list_pairs
from fusion_lab.evaluation import baseline_methods, evaluate, write_html
from fusion_lab.evaluation.html import picture_order
from fusion_lab.evaluation.scoring import Evaluation, ImageScores, MethodScores

VOID = {"meta", "img", "input"}


class Balance(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.counts = [], {}

    def handle_starttag(self, tag, attrs):
        self.counts[tag] = self.counts.get(tag, 0) + 1
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def page(tmp_path, count):
    rng = np.random.default_rng(0)
    for side in ("vi", "ir"):
        (tmp_path / "d<1>" / side).mkdir(parents=True)
        for n in range(count):
            image = rng.integers(0, 256, (40, 500), np.uint8)
            cv2.imwrite(str(tmp_path / "d<1>" / side / f"{n}.png"), image)
    pairs, methods = list_pairs([tmp_path / "d<1>"]), baseline_methods()
    result = evaluate("d<1>", pairs, methods)
    write_html(tmp_path / "page.html", result, pairs, methods)
    return (tmp_path / "page.html").read_text(encoding="utf-8")


def test_page_is_balanced_and_self_contained(tmp_path):
    text = page(tmp_path, 8)
    parser = Balance()
    parser.feed(text)
    assert parser.open == []
    assert parser.counts["tr"] == 1 + 4
    # three best and three worst, each with two sources and four methods
    assert parser.counts["img"] == 6 * 6
    assert "http" not in text
    assert "d&lt;1&gt;" in text
    assert "d<1>" not in text


def test_pictures_are_decodable_and_narrow(tmp_path):
    text = page(tmp_path, 2)
    pictures = re.findall(r'base64,([^"]+)"', text)
    assert len(pictures) == 2 * 6
    data = np.frombuffer(base64.b64decode(pictures[0]), np.uint8)
    assert cv2.imdecode(data, cv2.IMREAD_UNCHANGED).shape[:2] == (38, 480)  # 40 * 480 / 500


def scored(method, values):
    images = tuple(ImageScores(str(i), {"EN": v, "NABF": 9.0}) for i, v in enumerate(values))
    return MethodScores(method, images, {"EN": float(np.mean(values)), "NABF": 9.0})


def test_pictures_are_ordered_by_lead_over_the_others():
    alone = Evaluation("d", (scored("p", [1.0, 3.0, 2.0]),))
    assert picture_order(alone) == [1, 2, 0]
    # Leads 1, -2, 0: the picture of the highest value is the worst beside the other method.
    beside = Evaluation("d", (scored("p", [1.0, 3.0, 2.0]), scored("q", [0.0, 5.0, 2.0])))
    assert picture_order(beside) == [0, 2, 1]


def test_undefined_values_do_not_disturb_the_order():
    result = Evaluation("d", (scored("p", [1.0, float("nan"), 2.0]),))
    assert picture_order(result)[0] == 2
