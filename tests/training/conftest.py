"""Small folders of pairs whose images show different things; one thread for torch."""

import cv2
import numpy as np
import pytest


@pytest.fixture(autouse=True)
def always_one_thread(one_thread):
    """Let every test here compute in one thread."""


def write_pair(folder, stem, seed, size=(72, 96)):
    rng = np.random.default_rng(seed)
    height, width = size
    visible = cv2.resize(rng.integers(0, 255, (9, 12, 3), np.uint8), (width, height))
    thermal = np.full(size, 60, np.uint8)
    thermal[20:50, 30:45] = 220
    thermal = cv2.GaussianBlur(thermal + rng.integers(0, 12, size, np.uint8), (5, 5), 0)
    for kind, image in (("vi", visible), ("ir", thermal)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(folder / kind / f"{stem}.png"), image)


@pytest.fixture
def pair_folder(tmp_path):
    for index in range(5):
        write_pair(tmp_path / "pairs", f"road_{index}", index)
    return tmp_path / "pairs"


@pytest.fixture
def labelled_folder(pair_folder):
    """Label the drawn pairs: the hot block is a person, with its mask; the other is beside it."""

    def label(other):
        for kind in ("labels", "masks"):
            (pair_folder / kind).mkdir()
        mask = np.zeros((72, 96), np.uint8)
        mask[20:50, 30:45] = 255
        for image in (pair_folder / "vi").glob("*.png"):
            rows = f"label,x,y,w,h\nperson,30,20,15,30\n{other}\n"
            (pair_folder / "labels" / f"{image.stem}.csv").write_text(rows)
            cv2.imwrite(str(pair_folder / "masks" / image.name), mask)
        return pair_folder

    return label


@pytest.fixture
def clip_folder(tmp_path):
    for clip in range(3):
        for index in range(2):
            write_pair(tmp_path / "clips" / f"clip{clip}", f"{index:04d}", 10 * clip + index)
    return tmp_path / "clips"
