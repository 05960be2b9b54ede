import numpy as np

from fusion_lab.synthetic.aerial import SIZE, draw_aerial


def test_pairs_from_the_air_are_a_function_of_their_seed():
    first, again, other = draw_aerial(3), draw_aerial(3), draw_aerial(4)
    assert first.boxes == again.boxes
    assert (first.visible == again.visible).all()
    assert (first.celsius == again.celsius).all()
    assert (first.visible != other.visible).any()


def test_people_from_the_air_are_small_inside_and_not_of_the_temperature_of_the_ground():
    sizes = []
    for seed in range(6):
        pair = draw_aerial(seed)
        assert pair.visible.shape == (SIZE[1], SIZE[0], 3)
        assert pair.celsius.shape == SIZE[::-1]
        for label, box in pair.boxes:
            left, top, right, bottom = _edges(box)
            assert 0 <= left < right <= SIZE[0]
            assert 0 <= top < bottom <= SIZE[1]
            if label != "person":
                continue
            sizes.append(max(right - left, bottom - top))
            inside = pair.celsius[top:bottom, left:right]
            around = pair.celsius[max(0, top - 8) : bottom + 8, max(0, left - 8) : right + 8]
            assert np.abs(inside - np.median(around)).max() > 0.5
    assert len(sizes) > 10
    assert min(sizes) >= 7
    assert max(sizes) < 90


def _edges(box):
    x, y, width, height = map(int, box)
    return x, y, x + width, y + height


def test_a_recorded_ground_is_what_lies_below():
    """A ground of one colour: most of the picture has its hue, and objects lie where they lay."""
    ground = np.full((150, 200, 4), (40, 200, 80, 128), np.uint8)
    for seed in (1, 2, 3):
        pair = draw_aerial(seed, ground)
        red, green, blue = np.moveaxis(pair.visible.astype(int), 2, 0)
        assert np.mean((green >= blue) & (blue >= red)) > 0.5
        drawn = draw_aerial(seed)
        assert (pair.visible != drawn.visible).any()
