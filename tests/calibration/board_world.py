"""A board moved by hand before two cameras whose truth is known: the recordings of these tests.

Every pixel's ray is computed through the inverse of the lens model at four places within the
pixel, met with the board's plane and looked up in a drawing of the board; then comes the blur of
the optics and the noise of the sensor. The thermal camera sees dark squares bright (they are
warmer), in 16 bits, beside something hotter, and stamps its pictures late.

As a command it writes a recording to try things on by hand:
    python tests/calibration/board_world.py FOLDER charuco 8
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

SUPERSAMPLING = 2


@dataclass(frozen=True)
class Camera:
    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    d: tuple

    @property
    def k(self):
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]])


VISIBLE = Camera(1280, 720, 912.4, 909.7, 648.3, 352.1, (-0.12, 0.06, 0.0008, -0.0006, 0.0))
THERMAL = Camera(640, 512, 571.3, 572.6, 315.2, 262.8, (-0.28, 0.11, -0.0007, 0.0009, 0.0))
ROTATION = cv2.Rodrigues(np.radians([0.8, -1.5, 0.6]))[0]  # visible to thermal
TRANSLATION = np.array([-0.0794, 0.006, 0.0075])  # 8 cm baseline


@dataclass(frozen=True)
class Board:
    """A drawing of a board; ``metres_per_pixel`` and the middle of it in pixels of the drawing."""

    picture: np.ndarray
    metres_per_pixel: float

    @property
    def size_m(self):
        height, width = self.picture.shape
        return width * self.metres_per_pixel, height * self.metres_per_pixel


def chessboard(columns=9, rows=6, square_m=0.05):
    pixels = 40
    y, x = np.indices(((rows + 1) * pixels, (columns + 1) * pixels)) // pixels
    picture = np.where((x + y) % 2 == 0, 0, 255).astype(np.uint8)
    picture = cv2.copyMakeBorder(*[picture] + [pixels] * 4, cv2.BORDER_CONSTANT, value=255)
    return Board(picture, square_m / pixels)


def circles(columns=4, rows=11, spacing_m=0.035):
    pixels = 60
    width, height = 2 * columns * pixels + pixels, rows * pixels + pixels
    picture = np.full((height, width), 255, np.uint8)
    for row in range(rows):
        for column in range(columns):
            middle = ((2 * column + row % 2 + 1) * pixels, (row + 1) * pixels)
            cv2.circle(picture, middle, round(0.42 * pixels), 0, -1, cv2.LINE_AA)
    return Board(picture, spacing_m / pixels)


def charuco(columns=7, rows=5, square_m=0.075, marker_m=0.05):
    pixels = 48
    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_5X5_100)
    board = cv2.aruco.CharucoBoard((columns, rows), square_m, marker_m, dictionary)
    size = (columns * pixels, rows * pixels)
    picture = cv2.copyMakeBorder(
        *[board.generateImage(size)] + [pixels] * 4, cv2.BORDER_CONSTANT, value=255
    )
    return Board(picture, square_m / pixels)


BOARDS = {
    "chessboard": (chessboard, "chessboard:9x6:0.05"),
    "circles": (circles, "circles:4x11:0.035"),
    "charuco": (charuco, "charuco:7x5:0.075:0.05:DICT_5X5_100"),
}


def swing(seconds, seed=0):
    """Pose of the board's middle before the visible camera: rotation 3x3 and place in metres."""
    phases = np.random.default_rng(seed).uniform(0, 2 * np.pi, 6)
    rates = np.array([0.31, 0.47, 0.23, 0.41, 0.36, 0.17]) * 2 * np.pi
    waves = np.sin(rates * seconds + phases)
    depth = 0.95 + 0.25 * waves[2]
    place = np.array([0.03 + 0.36 * waves[0] * depth, 0.20 * waves[1] * depth, depth])
    tilt = np.array([0.6, 0.6, 0.35]) * waves[3:]
    return cv2.Rodrigues(tilt)[0], place


@dataclass
class Eye:
    """One camera in the world; its rays are computed once."""

    camera: Camera
    rotation: np.ndarray = field(default_factory=lambda: np.eye(3))
    translation: np.ndarray = field(default_factory=lambda: np.zeros(3))

    def __post_init__(self):
        camera, s = self.camera, SUPERSAMPLING
        x, y = np.meshgrid(np.arange(camera.width * s), np.arange(camera.height * s))
        pixels = np.stack(((x + 0.5) / s - 0.5, (y + 0.5) / s - 0.5), axis=-1).reshape(-1, 1, 2)
        stop = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 50, 1e-10)
        if hasattr(cv2, "undistortPointsIter"):  # OpenCV 4
            unit = np.eye(3)
            rays = cv2.undistortPointsIter(pixels, camera.k, np.array(camera.d), unit, unit, stop)
        else:
            rays = cv2.undistortPoints(pixels, camera.k, np.array(camera.d), criteria=stop)
        self.rays = rays.reshape(*x.shape, 2).astype(np.float32)

    def see(self, board, pose):
        """Return how the camera sees the board: reflectance in [0, 255], NaN beside it."""
        rotation, place = pose
        rotation, place = (
            self.rotation @ rotation,
            self.rotation @ place + self.translation,
        )
        height, width = board.picture.shape
        scale = board.metres_per_pixel
        # Drawing pixel (u, v) lies at ((u - middle) * scale) on the board.
        to_board = np.array(
            [[scale, 0, -(width - 1) / 2 * scale], [0, scale, -(height - 1) / 2 * scale], [0, 0, 1]]
        )
        to_ray = np.column_stack((rotation[:, 0], rotation[:, 1], place)) @ to_board
        back = np.linalg.inv(to_ray)
        rows, columns = self._window(cv2.perspectiveTransform(_corners(board), to_ray))
        uv = cv2.perspectiveTransform(self.rays[rows, columns], back)
        seen = cv2.remap(
            board.picture.astype(np.float32),
            uv[..., 0],
            uv[..., 1],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=-1e6,
        )
        s = SUPERSAMPLING
        part = seen.reshape(seen.shape[0] // s, s, seen.shape[1] // s, s).mean(axis=(1, 3))
        whole = np.full((self.camera.height, self.camera.width), np.nan, np.float32)
        rows, columns = (slice(side.start // s, side.stop // s) for side in (rows, columns))
        whole[rows, columns] = np.where(part < 0, np.nan, part)
        return whole

    def _window(self, rays):
        """Return the rows and columns of the fine grid that hold the board and a little more."""
        points = np.concatenate((rays.reshape(-1, 2), np.ones((4, 1))), axis=1)
        camera, s = self.camera, SUPERSAMPLING
        pixels = cv2.projectPoints(points, np.zeros(3), np.zeros(3), camera.k, np.array(camera.d))
        pixels = pixels[0].reshape(-1, 2)
        low = np.clip(pixels.min(axis=0) - 40, 0, (camera.width - 2, camera.height - 2)).astype(int)
        high = np.clip(pixels.max(axis=0) + 40, low + 2, (camera.width, camera.height)).astype(int)
        return slice(low[1] * s, high[1] * s), slice(low[0] * s, high[0] * s)


def _corners(board):
    height, width = board.picture.shape
    corners = [(0, 0), (width, 0), (width, height), (0, height)]
    return np.array(corners, np.float64).reshape(-1, 1, 2)


class Grain:
    """Noise of deviation 1; pictures take parts of one large field, which is quicker to make."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.field = self.rng.standard_normal((1100, 1700, 3), np.float32)

    def take(self, shape):
        y, x = self.rng.integers(0, 300, 2)
        part = self.field[y : y + shape[0], x : x + shape[1]]
        return part if len(shape) == 3 else part[..., self.rng.integers(3)]


def scenery(camera, seed):
    """Return a soft coloured background ``HxWx3`` in [0, 255]."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(40, 200, (5, 7, 3)).astype(np.float32)
    return cv2.resize(coarse, (camera.width, camera.height), interpolation=cv2.INTER_CUBIC)


def visible_picture(reflectance, background, grain):
    lit = 35 + np.multiply(0.75 * reflectance[..., None], (1.0, 0.97, 0.9), dtype=np.float32)
    picture = np.where(np.isnan(reflectance)[..., None], background, lit)
    picture = cv2.GaussianBlur(picture, None, 0.7) + 3 * grain.take(picture.shape)
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def thermal_picture(reflectance, background, grain):
    counts = 22000 + background[..., 0] * 0.8
    counts = np.where(np.isnan(reflectance), counts, 22500 - 1.1 * reflectance)
    counts[40:110, 560:600] = 23100  # somebody warm at the border
    counts = cv2.GaussianBlur(counts, None, 0.8) + 8 * grain.take(counts.shape)
    return np.clip(np.rint(counts), 0, 65535).astype(np.uint16)


def record(
    folder,
    board,
    seconds=3.0,
    *,
    pose=swing,
    rates_hz=(30.0, 25.0),
    late_ms=37.0,
    seed=1,
    cameras=(VISIBLE, THERMAL),
):
    """Write folders ``visible`` and ``thermal`` of stamped pictures; return their paths."""
    eyes = Eye(cameras[0]), Eye(cameras[1], ROTATION, TRANSLATION)
    grain = Grain(seed)
    start = 1_700_000_000_000_000_000
    places = []
    for eye, name, rate, late, paint in zip(
        eyes,
        ("visible", "thermal"),
        rates_hz,
        (0.0, late_ms / 1e3),
        (visible_picture, thermal_picture),
        strict=True,
    ):
        place = Path(folder) / name
        place.mkdir(parents=True, exist_ok=True)
        background = scenery(eye.camera, seed)
        for index in range(int(seconds * rate)):
            moment = 0.011 * (name == "thermal") + index / rate
            picture = paint(eye.see(board, pose(moment)), background, grain)
            stamp = start + round((moment + late) * 1e9)
            if picture.ndim == 3:
                picture = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
                cv2.imwrite(str(place / f"{stamp}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 95])
            else:
                cv2.imwrite(str(place / f"{stamp}.png"), picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])
        places.append(str(place))
    return places


def part(recording, folder, which):
    """Link some of a recording's pictures, by a slice of each stream, into a new folder."""
    places = []
    for place in map(Path, recording[:2]):
        new = Path(folder) / f"part_{place.name}"
        new.mkdir()
        for picture in sorted(place.iterdir())[which]:
            (new / picture.name).hardlink_to(picture)
        places.append(str(new))
    return (*places, recording[2])


if __name__ == "__main__":
    make, spec = BOARDS[sys.argv[2]]
    sys.stdout.write(" ".join((*record(sys.argv[1], make(), float(sys.argv[3])), spec)) + "\n")
