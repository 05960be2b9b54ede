"""The task is told from the pictures, or not at all."""

import cv2
import numpy as np
import pytest
from scenes import exposed, scene

from fusion_core.errors import StackError
from fusion_core.stacks import guess_task
from fusion_core.stacks.task import relation_of, task_of


def blurred(picture):
    return cv2.GaussianBlur(picture, (0, 0), 3)


def thermal_of(seed):
    """Return another scene in gray, which shares nothing with the visible one."""
    gray = cv2.cvtColor(scene(seed + 100), cv2.COLOR_RGB2GRAY)
    return np.dstack([gray] * 3)


@pytest.mark.parametrize("seed", range(4))
def test_made_stacks(seed):
    picture = scene(seed)
    assert guess_task([exposed(picture, -2), exposed(picture, 2)]) == "mef"
    assert guess_task([exposed(picture, 2), exposed(picture, -2), picture]) == "mef"
    assert guess_task([picture, blurred(picture)]) == "mff"
    assert guess_task([blurred(picture), picture, blurred(picture)]) == "mff"
    assert guess_task([picture, thermal_of(seed)]) == "vif"


@pytest.mark.parametrize(
    "pictures",
    [
        [scene(0), scene(1)],  # two colour pictures of two scenes
        [scene(0), thermal_of(0), thermal_of(1)],
        [scene(0), blurred(scene(0)), exposed(scene(0), -3)],
        [np.zeros_like(scene(0)), np.zeros_like(scene(0)) + 200],
    ],
)
def test_what_cannot_be_told_is_asked_for(pictures):
    with pytest.raises(StackError, match="--task vif"):
        guess_task(pictures)


@pytest.mark.data
@pytest.mark.parametrize(
    ("folder", "names", "task", "least"),
    [
        ("mef", "ab", "mef", 0.97),
        ("mff", "ab", "mff", 0.85),
        ("roadscene/val", ("vi", "ir"), "vif", 0.95),
        ("msrs", ("vi", "ir"), "vif", 1.0),
        ("llvip", ("vi", "ir"), "vif", 1.0),
    ],
)
def test_pairs_that_were_not_looked_at(recordings, folder, names, task, least):
    """Every fourth pair; the limits were set by others. Unsure is not wrong."""
    files = sorted((recordings / folder / names[0]).iterdir())[1::4]
    found = []
    for path in files:
        (other,) = (recordings / folder / names[1]).glob(f"{path.stem}.*")
        pictures = [cv2.imread(str(each))[..., ::-1] for each in (path, other)]
        found.append(task_of(relation_of(*pictures)))
    assert set(found) <= {task, None}
    assert found.count(task) >= least * len(found)
