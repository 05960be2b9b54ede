import pytest

from fusion_core.errors import SourceError
from fusion_core.source.topics import CAMERA_INFO, camera_info_topic, choose_topics
from fusion_core.transport.image_messages import COMPRESSED, IMAGE


@pytest.mark.parametrize(
    ("topics", "visible", "thermal"),
    [
        (["/rgb/image_raw", "/thermal/image_raw"], 0, 1),
        (["/camera/color/image_raw", "/lwir/image"], 0, 1),
        (["/image_raw", "/boson/image_raw"], 0, 1),
        (["/optris/visible_image", "/optris/thermal_image"], 0, 1),
        (["/flir_blackfly/image_raw", "/flir_boson/thermal/image_raw"], 0, 1),
        (["/vis", "/ir"], 0, 1),
        (["/camera/image_mono", "/camera/depth/image_raw", "/seek/auto_scaled"], 0, 2),
        (["/RGB/Image", "/Infrared/Image"], 0, 1),
        (["/thermal/image_color", "/front/image_color"], 1, 0),
        (["/rgb/image_raw", "/thermal/image_raw", "/fusion/image"], 0, 1),
    ],
)
def test_streams_are_found_by_name(topics, visible, thermal):
    chosen = choose_topics(dict.fromkeys(topics, IMAGE), None, None)
    assert chosen == {"visible": topics[visible], "thermal": topics[thermal]}


def test_raw_topic_is_preferred_to_its_compressed_copy():
    topics = {
        "/rgb/image_raw": IMAGE,
        "/rgb/image_raw/compressed": COMPRESSED,
        "/rgb/image_raw/compressedDepth": COMPRESSED,
        "/thermal/image_raw/compressed": COMPRESSED,
        "/rgb/camera_info": CAMERA_INFO,
        "/thermal/status": "std_msgs/msg/String",
    }
    assert choose_topics(topics, None, None) == {
        "visible": "/rgb/image_raw",
        "thermal": "/thermal/image_raw/compressed",
    }


def test_named_topics_win_over_names():
    topics = dict.fromkeys(["/a", "/b", "/rgb/image", "/ir/image"], IMAGE)
    assert choose_topics(topics, "/b", "a") == {"visible": "/b", "thermal": "/a"}
    assert choose_topics(topics, None, "/a") == {"visible": "/rgb/image", "thermal": "/a"}


@pytest.mark.parametrize(
    ("topics", "given", "words"),
    [
        ({}, {}, "no topic.*thermal.*holds no image topics"),
        (
            {"/a": IMAGE, "/b": COMPRESSED},
            {},
            r"thermal.*--thermal-topic.*/a \(sensor_msgs/msg/Image\), /b \(sensor_msgs/msg/Comp",
        ),
        (
            {"/ir": IMAGE, "/left/image": IMAGE, "/right/image": IMAGE},
            {},
            "several.*visible.*/left/image, /right/image.*--visible-topic",
        ),
        ({"/front/ir": IMAGE, "/rear/ir": IMAGE, "/rgb": IMAGE}, {}, "several.*thermal"),
        ({"/ir": IMAGE, "/rgb": IMAGE}, {"thermal": "/lwir"}, "'/lwir' is not in the bag.*/ir"),
        ({"/ir": IMAGE, "/t": "std_msgs/msg/String"}, {"visible": "/t"}, "String, not images"),
    ],
)
def test_missing_or_ambiguous_topics_are_listed(topics, given, words):
    with pytest.raises(SourceError, match=words):
        choose_topics(topics, given.get("visible"), given.get("thermal"))


def test_camera_info_lies_beside_the_image():
    assert camera_info_topic("/rgb/image_raw") == "/rgb/camera_info"
    assert camera_info_topic("/rgb/image_raw/compressed") == "/rgb/camera_info"
    assert camera_info_topic("/image") == "/camera_info"
