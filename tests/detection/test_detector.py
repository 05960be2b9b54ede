"""Detectors of every output format, on networks whose answers follow from how they are made."""

import cv2
import numpy as np
import onnx_networks as networks
import pytest
from onnx import TensorProto, helper

from fusion_core.detection import Detector
from fusion_core.detection.detector import pair_pictures
from fusion_core.detection.output_formats import OUTPUT_FORMATS
from fusion_core.errors import DetectorError, UsageError
from fusion_core.types import AlignedPair

NAMES = {"names": "{0: 'person', 1: 'vehicle', 2: 'cycle'}"}
# One object in a picture 100 wide and 50 high, in an input of 64 x 64, worked out by hand.
PICTURE = np.zeros((50, 100, 3), np.uint8)
OBJECT = (25.0, 10.0, 50.0, 20.0)
CENTRED = (16.0, 22.4, 48.0, 35.2)  # times 0.64, 16 rows below the top
CORNER = (16.0, 6.4, 48.0, 19.2)  # times 0.64
STRETCHED = (16.0, 12.8, 48.0, 38.4)  # times 0.64 across, 1.28 down


def alone(image):
    """Return the pair around a picture without a thermal side."""
    return AlignedPair(0, image, None, np.zeros(image.shape[:2], bool))


def detect(detector, image=PICTURE, **options):
    return detector.detect(image, alone(image), **options)


def by_centre(corners):
    x0, y0, x1, y1 = corners
    return [(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0]


def f32(array):
    return np.asarray(array, np.float32)


def yolov5():
    rows = np.zeros((1, 3 * 84, 8), np.float32)
    rows[0, 100] = [*by_centre(CENTRED), 0.9, 0.0, 0.5, 0.1]  # 0.9 * 0.5
    return {"output0": rows}, 0.45


def yolov8():
    rows = np.zeros((1, 7, 84), np.float32)
    rows[0, :, 30] = [*by_centre(CENTRED), 0.0, 0.45, 0.1]
    return {"output0": rows}, 0.45


def yolox():
    # Row 64 + 5: second grid (stride 16, four cells a row), cell x 1, y 1.
    rows = np.zeros((1, 84, 8), np.float32)
    x, y, width, height = by_centre(CORNER)
    rows[0, 69] = [x / 16 - 1, y / 16 - 1, np.log(width / 16), np.log(height / 16), 0.9, 0, 0.5, 0]
    return {"output": rows}, 0.45


def end2end():
    rows = np.zeros((1, 100, 6), np.float32)
    rows[0, 0] = [*CENTRED, 0.45, 1]
    return {"output0": rows}, 0.45


def efficient_nms():
    boxes, scores, classes = np.zeros((1, 9, 4)), np.zeros((1, 9)), np.zeros((1, 9), np.int32)
    boxes[0, 0], scores[0, 0], classes[0, 0] = CENTRED, 0.45, 1
    # Beyond the number of detections the rows hold anything.
    boxes[0, 1], scores[0, 1], classes[0, 1] = CENTRED, 0.99, 2
    return {
        "num_dets": np.array([[1]], np.int32),
        "det_boxes": f32(boxes),
        "det_scores": f32(scores),
        "det_classes": classes,
    }, 0.45


def rtdetr():
    boxes, scores, labels = np.zeros((1, 30, 4)), np.zeros((1, 30)), np.zeros((1, 30), np.int64)
    boxes[0, 7], scores[0, 7], labels[0, 7] = STRETCHED, 0.45, 1
    return {"labels": labels, "boxes": f32(boxes), "scores": f32(scores)}, 0.45


def query_rows():
    rows = np.zeros((1, 30, 7), np.float32)
    rows[0, 7] = [*(np.array(by_centre(STRETCHED)) / 64), 0.0, 0.45, 0.1]
    return {"output0": rows}, 0.45


def queries(boxes, logits):
    box, logit = np.zeros((1, 30, 4), np.float32), np.full((1, 30, 3), -9, np.float32)
    box[0, 7] = np.array(by_centre(STRETCHED)) / 64
    logit[0, 7, 1] = 0.5
    return {boxes: box, logits: logit}, 0.6224593  # 1 / (1 + exp(-0.5))


CASES = {
    "yolov5": yolov5,
    "yolov8": yolov8,
    "yolox": yolox,
    "end2end": end2end,
    "efficient_nms": efficient_nms,
    "rtdetr": rtdetr,
    "queries": query_rows,
    "detr": lambda: queries("pred_boxes", "logits"),
    "rfdetr": lambda: queries("dets", "labels"),
}


def test_every_format_has_its_case():
    assert CASES.keys() == OUTPUT_FORMATS.keys()


@pytest.mark.parametrize("name", CASES)
def test_finds_the_object_of_each_format(name, tmp_path):
    outputs, score = CASES[name]()
    size = helper.make_tensor_value_info("orig_target_sizes", TensorProto.INT64, (1, 2))
    extra = [size] if name == "rtdetr" else []
    path = networks.constant(tmp_path / "net.onnx", outputs, metadata=NAMES, extra=extra)
    detector = Detector(path)
    assert detector.output_format == name
    (found,) = detect(detector)
    assert found.label == "vehicle"
    assert found.score == pytest.approx(score, abs=1e-6)
    assert found.box == pytest.approx(OBJECT, abs=1e-4)


def test_background_beside_three_classes_is_no_object(tmp_path):
    """RF-DETR's head for three classes has four logits, as many as a box has numbers."""
    boxes = np.zeros((1, 30, 4), np.float32)
    boxes[0, 7:9] = np.array(by_centre(STRETCHED)) / 64
    logits = np.full((1, 30, 4), -9, np.float32)
    logits[0, 7, 1], logits[0, 8, 3] = 0.5, 2.0
    for order in (("dets", "labels"), ("labels", "dets")):
        outputs = {name: {"dets": boxes, "labels": logits}[name] for name in order}
        path = networks.constant(tmp_path / f"{order[0]}.onnx", outputs, metadata=NAMES)
        (found,) = detect(Detector(path))
        assert found.label == "vehicle"
        assert found.box == pytest.approx(OBJECT, abs=1e-4)


@pytest.mark.parametrize(("name", "scale"), [("yolov8", 1.0), ("yolox", 1 / 255), ("detr", 1.0)])
def test_convention_colours_as_each_format_was_trained_on(name, scale, tmp_path):
    """Ultralytics and DETR: red first, 0 to 1; YOLOX: blue first, 0 to 255."""
    path = networks.colour_meter(
        tmp_path / "net.onnx", output_format=name, factor=scale, metadata=NAMES
    )
    image = np.full((64, 64, 3), (204, 51, 0), np.uint8)  # 0.8, 0.2, 0
    (found,) = detect(Detector(path), image)
    assert found.label == ("cycle" if name == "yolox" else "person")  # class 2 or class 0
    expected = 1 / (1 + np.exp(-0.8)) if name == "detr" else 0.8
    assert found.score == pytest.approx(expected, abs=1e-5)


def test_convention_rfdetr_sees_the_statistics_of_imagenet(tmp_path):
    path = networks.colour_meter(tmp_path / "net.onnx", output_format="rfdetr", metadata=NAMES)
    image = np.full((64, 64, 3), (0, 255, 0), np.uint8)
    (found,) = detect(Detector(path), image)
    assert found.label == "vehicle"
    assert found.score == pytest.approx(1 / (1 + np.exp(-(1 - 0.456) / 0.224)), abs=1e-5)


@pytest.mark.parametrize("size", [(640, 480), (333, 217), (97, 101), (128, 96)])
def test_convention_boxes_return_to_the_object_to_a_fraction_of_a_pixel(size, tmp_path):
    """A soft spot is found where it was drawn, whatever the ratio of the sizes and its rounding."""
    path = networks.spot_finder(tmp_path / "net.onnx", metadata={"names": "['spot']"})
    width, height = size
    centre = np.array([0.61 * width, 0.37 * height])  # from the outer corner of pixel (0, 0)
    x, y = np.arange(width) + 0.5 - centre[0], np.arange(height)[:, None] + 0.5 - centre[1]
    glow = np.exp(-(x**2 + y**2) / (2 * (0.05 * width) ** 2))
    image = np.repeat(np.rint(255 * glow).astype(np.uint8)[..., None], 3, axis=2)
    (found,) = detect(Detector(path), image)
    left, top, wide, high = found.box
    assert (left + wide / 2, top + high / 2) == pytest.approx(centre, abs=0.03 * width / 128)
    scale = min(128 / width, 96 / height)
    assert (wide, high) == pytest.approx((8 / scale, 8 / scale), rel=0.01)


def test_convention_padding_is_gray_114(tmp_path):
    path = networks.colour_meter(tmp_path / "net.onnx", metadata=NAMES)
    image = np.full((32, 64, 3), 255, np.uint8)  # fills half of the input
    (found,) = detect(Detector(path), image)
    assert found.score == pytest.approx((1 + 114 / 255) / 2, abs=1e-5)


def test_suppresses_the_weaker_of_two_boxes_of_a_class_only(tmp_path):
    rows = np.zeros((1, 7, 84), np.float32)
    # Shifted by 8 of 32 columns: IoU 24 / 40 = 0.6.
    for index, (shift, scores) in enumerate([(0, [0.9, 0, 0]), (8, [0.8, 0, 0]), (8, [0, 0.7, 0])]):
        x0, y0, x1, y1 = CENTRED
        rows[0, :, index] = [*by_centre((x0 + shift, y0, x1 + shift, y1)), *scores]
    metadata = {**NAMES, "iou": "0.5"}
    detector = Detector(networks.constant(tmp_path / "n.onnx", {"o": rows}, metadata=metadata))
    assert [(d.label, round(d.score, 3)) for d in detect(detector)] == [
        ("person", 0.9),
        ("vehicle", 0.7),
    ]
    assert len(detect(detector, iou=0.65)) == 3


def test_boxes_end_at_the_border_of_the_picture(tmp_path):
    rows = np.zeros((1, 7, 84), np.float32)
    rows[0, :, 0] = [0, 32, 40, 10, 0.9, 0, 0]  # reaches 20 columns out to the left
    rows[0, :, 1] = [32, 4, 10, 6, 0.9, 0, 0]  # lies in the padding above
    path = networks.constant(tmp_path / "net.onnx", {"output0": rows}, metadata=NAMES)
    (found,) = detect(Detector(path))
    assert found.box == pytest.approx((0, 17.1875, 31.25, 15.625), abs=1e-4)


class TestPair:
    def make(self, tmp_path, metadata):
        return networks.colour_meter(
            tmp_path / "pair.onnx", channels=4, metadata={**NAMES, "conf": "0.05"} | metadata
        )

    def test_convention_red_green_blue_thermal(self, tmp_path):
        path = self.make(tmp_path, {"input": "pair", "names": "['r', 'g', 'b', 't']"})
        detector = Detector(path)
        visible = np.full((64, 64, 3), (51, 102, 0), np.uint8)
        thermal = np.full((64, 64), 0.6, np.float32)
        pair = AlignedPair(0, visible, thermal, np.ones((64, 64), bool))
        ((label, score),) = [(d.label, d.score) for d in detector.detect(PICTURE, pair)]
        assert label == "t"
        assert score == pytest.approx(0.6, abs=1 / 255)

    def test_what_a_camera_does_not_see_is_gray(self):
        valid = np.array([[True, False]])
        thermal = np.array([[1.0, 0.0]], np.float32)
        gray, heat = pair_pictures(AlignedPair(0, None, thermal, valid))
        assert gray.tolist() == [[[114, 114, 114], [114, 114, 114]]]
        assert heat.tolist() == [[255, 114]]
        visible = np.full((1, 2, 3), 7, np.uint8)
        seen, gray = pair_pictures(AlignedPair(0, visible, None, valid))
        assert seen.tolist() == visible.tolist()
        assert gray.tolist() == [[114, 114]]

    def test_metadata_and_channels_must_agree(self, tmp_path):
        with pytest.raises(DetectorError, match="4 input channels"):
            Detector(self.make(tmp_path, {}))


class TestCard:
    def save(self, tmp_path, metadata, count=3):
        outputs = {"output0": np.zeros((1, 4 + count, 100), np.float32)}
        return networks.constant(tmp_path / "net.onnx", outputs, metadata=metadata)

    def test_thresholds_of_the_metadata_hold(self, tmp_path):
        card = Detector(self.save(tmp_path, {**NAMES, "conf": "0.4", "iou": "0.6"})).card
        assert (card.conf, card.iou) == (0.4, 0.6)

    def test_yaml_beside_the_model_wins(self, tmp_path):
        path = self.save(tmp_path, {"names": "{0: 'a', 1: 'b', 2: 'c'}", "conf": "0.4"})
        (tmp_path / "net.yaml").write_text("names: [person, car, dog]\nconf: 0.3\n")
        detector = Detector(path)
        assert detector.class_names.known == ("person", "car", "dog")
        assert detector.card.conf == 0.3

    def test_80_unnamed_classes_are_those_of_coco(self, tmp_path):
        labels = Detector(self.save(tmp_path, {}, count=80)).class_names.known
        assert (len(labels), labels[0], labels[2], labels[79]) == (
            80,
            "person",
            "car",
            "toothbrush",
        )

    def test_other_unnamed_classes_are_numbers(self, tmp_path, caplog):
        outputs, _ = yolov8()
        found = detect(Detector(networks.constant(tmp_path / "net.onnx", outputs)))
        assert [d.label for d in found] == ["1"]
        assert "names no classes" in caplog.text

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("conf: high", r"net.yaml: conf = 'high'"),
            ("conf: 2", r"conf = 2"),
            ("output_format: yolo99", "output_format = 'yolo99'"),
            ("decoder: yolov8", "'decoder' is now called 'output_format'"),
            ("[1", "not valid YAML"),
        ],
    )
    def test_a_wrong_value_is_named(self, text, message, tmp_path):
        path = self.save(tmp_path, NAMES)
        (tmp_path / "net.yaml").write_text(text)
        with pytest.raises(DetectorError, match=message):
            Detector(path)

    def test_other_tasks_are_refused(self, tmp_path):
        with pytest.raises(DetectorError, match="'segment'"):
            Detector(self.save(tmp_path, {**NAMES, "task": "segment"}))


class TestRefused:
    def test_missing(self, tmp_path):
        with pytest.raises(DetectorError, match="no such file") as caught:
            Detector(str(tmp_path / "none.onnx"))
        assert caught.value.exit_code == 1

    def test_not_an_onnx_file(self, tmp_path):
        (tmp_path / "text.onnx").write_text("hello")
        with pytest.raises(DetectorError, match="cannot load it"):
            Detector(str(tmp_path / "text.onnx"))

    def test_torn(self, tmp_path):
        whole = (tmp_path / "whole.onnx", tmp_path / "torn.onnx")
        networks.constant(whole[0], yolov8()[0])
        whole[1].write_bytes(whole[0].read_bytes()[:-500])
        with pytest.raises(DetectorError, match="cannot load it"):
            Detector(str(whole[1]))

    def test_a_name_that_is_no_file(self):
        with pytest.raises(UsageError, match="'yolo'"):
            Detector("yolo")

    def test_outputs_of_no_format(self, tmp_path):
        path = networks.constant(tmp_path / "n.onnx", {"heat": np.zeros((1, 5, 8, 8), np.float32)})
        with pytest.raises(
            DetectorError, match=r"heat \[1, 5, 8, 8\] are of no known output format"
        ):
            Detector(path)

    def test_outputs_that_are_not_of_the_format_named(self, tmp_path):
        path = networks.constant(tmp_path / "net.onnx", yolov8()[0])
        with pytest.raises(DetectorError, match="not of format 'rtdetr'"):
            Detector(path, output_format="rtdetr")

    def test_more_rows_than_classes_named(self, tmp_path):
        """A pose or segmentation head appends rows that would be read as classes."""
        outputs = {"output0": np.zeros((1, 4 + 3 + 51, 84), np.float32)}
        with pytest.raises(DetectorError, match="no known output format"):
            Detector(networks.constant(tmp_path / "net.onnx", outputs, metadata=NAMES))

    def test_an_input_of_five_channels(self, tmp_path):
        path = networks.constant(tmp_path / "n.onnx", yolov8()[0], shape=(1, 5, 64, 64))
        with pytest.raises(DetectorError, match="has 5 channels"):
            Detector(path)


def test_the_default_finds_a_warm_person_by_night():
    """A standing figure of 22 x 60 pixels, 8 degrees above a dark scene that RGB cannot see."""
    detector = Detector("default")
    assert detector.takes_pair
    assert detector.class_names.known == ("person", "vehicle", "cycle")
    rng = np.random.default_rng(3)
    thermal = np.full((480, 640), 0.25, np.float32) + rng.normal(0, 0.01, (480, 640))
    cv2.ellipse(thermal, (311, 224), (7, 9), 0, 0, 360, 0.9, -1)
    cv2.rectangle(thermal, (300, 232), (321, 262), 0.8, -1)
    cv2.rectangle(thermal, (302, 262), (309, 292), 0.7, -1)
    cv2.rectangle(thermal, (313, 262), (320, 292), 0.7, -1)
    thermal = cv2.GaussianBlur(thermal, (5, 5), 1.2).clip(0, 1).astype(np.float32)
    dark = rng.integers(0, 12, (480, 640, 3), np.uint8)
    pair = AlignedPair(0, dark, thermal, np.ones((480, 640), bool))
    people = [found for found in detector.detect(dark, pair) if found.label == "person"]
    assert len(people) == 1
    x, y, w, h = people[0].box
    assert (x + w / 2, y + h / 2) == pytest.approx((311, 253), abs=8)


class TestInputOfAnySize:
    def make(self, tmp_path, **metadata):
        shape = (1, 3, "height", "width")
        outputs, metadata = yolov8()[0], NAMES | metadata
        return networks.constant(tmp_path / "n.onnx", outputs, shape=shape, metadata=metadata)

    def test_is_taken_as_640(self, tmp_path):
        assert Detector(self.make(tmp_path)).about["input"] == "fused 640x640"

    def test_convention_metadata_state_height_and_width(self, tmp_path):
        detector = Detector(self.make(tmp_path, imgsz="[384, 512]"))
        assert detector.about["input"] == "fused 512x384"

    def test_a_size_that_is_none_is_named(self, tmp_path):
        with pytest.raises(DetectorError, match="imgsz = '640 px'"):
            Detector(self.make(tmp_path, imgsz="640 px"))

    @pytest.mark.parametrize(
        ("choice", "picture", "used"),
        [
            ("auto", (85, 64), (64, 64)),  # 64 / 85 = 0.753
            ("auto", (86, 64), (128, 96)),  # 64 / 86 = 0.744
            ("auto", (64, 88), (128, 96)),
            ("small", (640, 480), (64, 64)),
            ("large", (64, 64), (128, 96)),
        ],
    )
    def test_convention_large_is_for_pictures_that_are_reduced_below_three_quarters(
        self, tmp_path, choice, picture, used
    ):
        path = self.make(tmp_path, imgsz="[64, 64]", imgsz_large="[96, 128]")
        image = np.zeros((*picture[::-1], 3), np.uint8)
        (found,) = detect(Detector(path, input_choice=choice), image)
        ratio = min(used[0] / picture[0], used[1] / picture[1])
        assert found.box[3] == pytest.approx((CENTRED[3] - CENTRED[1]) / ratio, rel=0.02)

    def test_reports_name_what_may_be_used(self, tmp_path):
        path = self.make(tmp_path, imgsz="[64, 64]", imgsz_large="[96, 128]")
        assert Detector(path).about["input"] == "fused 64x64 or 128x96"
        assert Detector(path, input_choice="large").about["input"] == "fused 128x96"

    def test_a_large_size_that_is_none_is_named(self, tmp_path):
        with pytest.raises(DetectorError, match="imgsz_large = 'big'"):
            Detector(self.make(tmp_path, imgsz_large="big"))
        with pytest.raises(DetectorError, match="its input is 9000x64 pixels; expected edges from"):
            Detector(self.make(tmp_path, imgsz_large="[64, 9000]"))


# Boxes of the recordings' own labels: checked by eye (msrs), published (m3fd).
LABELLED = {
    "msrs/vi/00055D": [
        ("person", (511, 182, 44, 123)),
        ("person", (546, 180, 46, 127)),
        ("car", (577, 187, 63, 132)),
    ],
    "msrs/vi/00143D": [("truck", (0, 28, 345, 302))],
    "m3fd/vi/00118": [("car", (89, 337, 307, 278))],
    "m3fd/vi/00405": [("person", (59, 389, 77, 235))],
}


@pytest.mark.data
@pytest.mark.parametrize("picture", LABELLED)
def test_a_public_detector_meets_the_labels_of_real_pictures(picture, recordings):
    detector = Detector(str(recordings / "detectors" / "yolox_nano.onnx"), threads=1)
    assert detector.output_format == "yolox"
    (path,) = (recordings / picture).parent.glob(f"{picture.rpartition('/')[2]}.*")
    image = np.ascontiguousarray(cv2.imread(str(path))[:, :, ::-1])
    found = detect(detector, image)
    for label, box in LABELLED[picture]:
        overlaps = [iou(detection.box, box) for detection in found if detection.label == label]
        assert max(overlaps, default=0.0) > 0.75, (label, box)


def iou(first, second):
    low = np.maximum(first[:2], second[:2])
    high = np.minimum(np.add(first[:2], first[2:]), np.add(second[:2], second[2:]))
    shared = np.clip(high - low, 0, None).prod()
    return shared / (np.prod(first[2:]) + np.prod(second[2:]) - shared)
