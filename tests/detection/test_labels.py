"""Label files of both kinds."""

import pytest

from fusion_core.detection.labels import labelled_stems, read_labels
from fusion_core.errors import SourceError


@pytest.fixture
def write(tmp_path):
    """Return a writer of label files that gives the labels read back from a 200 x 100 picture."""
    (tmp_path / "labels").mkdir()

    def write_and_read(name, text):
        (tmp_path / "labels" / name).write_text(text)
        return read_labels(tmp_path / "labels", "a", 100, 200)

    return write_and_read


def test_csv_by_class_with_regions_to_ignore(write):
    labels = write(
        "a.csv",
        "label,x,y,w,h\nperson,10,20,5,9\nbus,1,2,3,4\nignore,0,0,50,60\nCar,5,6,7,8.5\n"
        "bicycle,1,1,1,1\nmotorcycle,2,2,2,2\nlamp,9,9,9,9\n",
    )
    assert labels.objects["person"].tolist() == [[10, 20, 15, 29]]
    assert labels.objects["vehicle"].tolist() == [[1, 2, 4, 6], [5, 6, 12, 14.5]]
    assert labels.objects["cycle"].tolist() == [[1, 1, 2, 2], [2, 2, 4, 4]]
    assert labels.ignore.tolist() == [[0, 0, 50, 60]]


@pytest.mark.parametrize("text", ["", "label,x,y,w,h\n"])
def test_an_empty_file_means_no_object(text, write):
    labels = write("a.csv", text)
    assert [boxes.shape for boxes in labels.objects.values()] == [(0, 4)] * 3
    assert labels.ignore.shape == (0, 4)


def test_convention_yolo_boxes_are_centres_in_parts_of_the_picture(write):
    """As numbered in M3FD: 0 people, 1 car, 2 bus, 3 lamp, 4 motorcycle, 5 truck."""
    labels = write("a.txt", "0 0.5 0.5 0.1 0.2\n4 0.1 0.2 0.05 0.1\n3 0.5 0.5 1 1\n5 0.5 0.5 1 1\n")
    assert labels.objects["person"].tolist() == [pytest.approx([90, 40, 110, 60])]
    assert labels.objects["cycle"].tolist() == [pytest.approx([15, 15, 25, 25])]
    assert labels.objects["vehicle"].tolist() == [pytest.approx([0, 0, 200, 100])]


def test_names_beside_yolo_files_win(write, tmp_path):
    (tmp_path / "labels" / "classes.txt").write_text("truck\nperson\n")
    labels = write("a.txt", "1 0.5 0.5 0.1 0.2\n")
    assert len(labels.objects["person"]) == 1
    with pytest.raises(SourceError, match="class '2'; expected a number below 2"):
        write("a.txt", "2 0.5 0.5 0.1 0.2\n")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "x,y,w,h,label\n", "header 'x,y,w,h,label'"),
        ("a.csv", "label,x,y,w,h\nperson,1,2,3\n", "expected four numbers"),
        ("a.csv", "label,x,y,w,h\nperson,1,2,3,wide\n", "'1 2 3 wide'"),
        ("a.txt", "person 1 1 1 1\n", "class 'person'"),
        ("a.txt", "6 1 1 1 1\n", "class '6'; expected a number below 6"),
        ("b.csv", "", r"no a.csv or a.txt"),
    ],
)
def test_what_cannot_be_read_is_named(name, text, message, write):
    with pytest.raises(SourceError, match=message):
        write(name, text)


def test_stems_are_those_of_both_kinds_of_files(tmp_path):
    for name in ("b.csv", "a.txt", "classes.txt", "c.png"):
        (tmp_path / name).write_text("")
    assert labelled_stems(tmp_path) == ["a", "b"]
