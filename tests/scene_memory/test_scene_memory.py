"""What hides comes back, and nothing false is shown."""

import threading

import cv2
import numpy as np
import pytest
from veiled_world import HEIGHT, WIDTH, World, error, pair, soft_disc, texture, veiled

from fusion_core.errors import MemoryBankError
from fusion_core.scene_memory import SceneMemory, SceneMemoryConfig

RATE = 30.0
CLOUD = soft_disc()
INSIDE, OUTSIDE = CLOUD > 0.9, CLOUD < 0.05


class Stream:
    """Feeds a memory at the rate of a camera."""

    def __init__(self, memory=None, start_s=0.0):
        self.memory = memory or SceneMemory(SceneMemoryConfig())
        self.seconds = start_s

    def show(self, visible, thermal, frames=1, objects=()):
        """Show the same pair for some frames and return the last result and what was recalled."""
        for _ in range(frames):
            self.seconds += 1 / RATE
            result, recalled = self.memory.recall(pair(visible, thermal, self.seconds), objects)
        return result.visible, recalled


def learned(world, **settings):
    stream = Stream(SceneMemory(SceneMemoryConfig(**settings)))
    stream.show(world.visible(), world.thermal(), 40)
    return stream


def test_what_smoke_hides_comes_back_and_the_rest_stays():
    world = World()
    clean, smoky = world.visible(), veiled(world.visible(), 0.95 * CLOUD)
    shown, recalled = learned(world).show(smoky, world.thermal(), 15)
    assert error(shown, clean, INSIDE) < 0.2 * error(smoky, clean, INSIDE)
    assert error(shown, smoky, OUTSIDE) < 1
    assert recalled.weight.shape == (HEIGHT, WIDTH)
    assert recalled.weight[INSIDE].min() > 200
    assert recalled.weight[OUTSIDE].max() == 0
    assert recalled.share == pytest.approx(recalled.weight.mean() / 255, abs=0.01)
    assert 0 < recalled.age_s < 1


def test_the_picture_is_as_seen_again_once_the_smoke_is_gone():
    world = World()
    stream = learned(world)
    stream.show(veiled(world.visible(), 0.95 * CLOUD), world.thermal(), 15)
    shown, _ = stream.show(world.visible(), world.thermal(), 2)
    assert error(shown, world.visible()) < 0.5


@pytest.mark.parametrize("change", ["nothing", "noise", "dimmer", "brighter"])
def test_a_clear_view_is_never_replaced(change):
    world = World()
    stream = learned(world)
    noise = np.random.default_rng(5).normal(0, 4, (HEIGHT, WIDTH, 1))
    visible = {
        "nothing": lambda v: v,
        "noise": lambda v: v + noise,
        "dimmer": lambda v: v * 0.5,
        "brighter": lambda v: v * 1.4,
    }[change](world.visible().astype(np.float32))
    seen = visible.clip(0, 255).astype(np.uint8)
    shown, recalled = stream.show(seen, world.thermal(), 15)
    assert recalled is None
    np.testing.assert_array_equal(shown, seen)


def test_what_darkness_hides_comes_back():
    world = World()
    dark = (world.visible() * 0.04).astype(np.uint8)
    shown, recalled = learned(world).show(dark, world.thermal(), 15)
    assert recalled.share > 0.8
    assert error(shown, world.visible()) < 0.3 * error(dark, world.visible())


def test_another_place_recalls_nothing():
    stream = learned(World(0))
    other = World(1)
    smoky = veiled(other.visible(), 0.95 * CLOUD)
    shown, recalled = stream.show(smoky, other.thermal(), 5)
    assert recalled is None
    np.testing.assert_array_equal(shown, smoky)


def test_a_camera_that_moved_a_little_recalls_in_register():
    world = World()
    offset = (7, -4)
    clean = world.visible(offset)
    smoky = veiled(clean, 0.95 * CLOUD)
    shown, recalled = learned(world).show(smoky, world.thermal(offset), 15)
    assert recalled.share > 0.1
    assert error(shown, clean, INSIDE) < 0.3 * error(smoky, clean, INSIDE)
    unmoved = error(world.visible(), clean, INSIDE)
    assert error(shown, clean, INSIDE) < 0.5 * unmoved


def test_a_camera_that_moved_far_recalls_nothing():
    world = World()
    offset = (80, 40)
    smoky = veiled(world.visible(offset), 0.95 * CLOUD)
    _, recalled = learned(world).show(smoky, world.thermal(offset), 5)
    assert recalled is None


def test_a_person_who_stands_where_the_memory_is_empty_floor_is_not_hidden():
    world = World()
    thermal = world.thermal()
    thermal[80:170, 150:180] += 0.3
    smoky = veiled(world.visible(), 0.95 * CLOUD)
    shown, recalled = learned(world).show(smoky, thermal, 15)
    person = np.s_[82:168, 152:178]
    assert recalled.weight[person].max() < 3  # of 255
    assert error(shown[person], smoky[person]) < 1
    assert recalled.weight[INSIDE].max() > 200  # the floor around is recalled


@pytest.mark.parametrize("inside", ["flat", "textured"])
def test_a_new_object_without_heat_of_its_own_is_not_hidden(inside):
    world = World()
    seen = world.visible()
    box = np.s_[70:170, 100:220]
    seen[box] = 60 if inside == "flat" else 120 * texture(9)[box][..., None] + 20
    shown, recalled = learned(world).show(seen, world.thermal(), 15)
    weight = np.zeros((HEIGHT, WIDTH)) if recalled is None else recalled.weight
    assert weight[75:165, 105:215].max() == 0
    np.testing.assert_array_equal(shown[75:165, 105:215], seen[75:165, 105:215])


def test_a_detected_object_is_left_as_it_is_seen():
    world = World()
    smoky = veiled(world.visible(), 0.95 * CLOUD)
    box = (140.0, 90.0, 40.0, 60.0)
    shown, recalled = learned(world).show(smoky, world.thermal(), 15, [box])
    inside = np.s_[95:145, 147:173]  # of the ellipse about the box
    assert recalled.weight[inside].max() == 0
    np.testing.assert_array_equal(shown[inside], smoky[inside])


def test_who_stood_in_the_memory_and_left_in_the_smoke_is_not_shown():
    world = World()
    stream = Stream()
    visible, thermal = world.visible(), world.thermal()
    person = np.s_[80:170, 150:180]
    visible[person] = 255 - visible[person]
    thermal[person] += 0.3
    stream.show(visible, thermal, 40)
    _, recalled = stream.show(veiled(world.visible(), 0.95 * CLOUD), world.thermal(), 15)
    assert recalled.weight[82:168, 152:178].max() == 0


def test_the_memory_follows_a_scene_that_changes():
    world = World()
    stream = learned(world)
    changed = world.visible()
    changed[60:180, 90:230] = 170 * texture(7)[60:180, 90:230][..., None] + 10
    stream.show(changed, world.thermal(), 60)
    shown, _ = stream.show(veiled(changed, 0.95 * CLOUD), world.thermal(), 15)
    assert error(shown, changed, INSIDE) < error(shown, world.visible(), INSIDE)


def test_smoke_that_stays_is_not_learned():
    world = World()
    stream = learned(world)
    smoky = veiled(world.visible(), 0.95 * CLOUD)
    shown, _ = stream.show(smoky, world.thermal(), 150)
    assert error(shown, world.visible(), INSIDE) < 0.2 * error(smoky, world.visible(), INSIDE)


def test_what_is_recalled_fades_with_its_age():
    world = World()
    stream = learned(world, max_age_s=4.0)
    smoky = veiled(world.visible(), 0.95 * CLOUD)
    shares = [stream.show(smoky, world.thermal(), 30)[1] for _ in range(5)]
    assert shares[0].share > 2 * shares[2].share > 0
    assert shares[-1] is None
    assert 2 < shares[2].age_s < 4


def test_a_place_is_known_again_after_others():
    first, second = World(0), World(1)
    stream = learned(first)
    stream.show(second.visible(), second.thermal(), 60)
    assert stream.memory.status().places == 2
    smoky = veiled(first.visible(), 0.95 * CLOUD)
    shown, recalled = stream.show(smoky, first.thermal(), 20)
    assert recalled.share > 0.1
    assert stream.memory.status().place == 0
    assert error(shown, first.visible(), INSIDE) < 0.3 * error(smoky, first.visible(), INSIDE)


def test_the_place_not_seen_for_longest_is_forgotten():
    stream = learned(World(0), places=2)
    for seed in (1, 2):
        world = World(seed)
        stream.show(world.visible(), world.thermal(), 60)
    assert stream.memory.status().places == 2
    _, recalled = stream.show(veiled(World(0).visible(), 0.9), World(0).thermal(), 5)
    assert recalled is None


def test_a_moving_camera_fills_no_places():
    world = World()
    stream = learned(world)
    for step in range(40):
        offset = (-100 + 5 * step, 60)
        stream.show(world.visible(offset), world.thermal(offset))
    assert stream.memory.status().places == 1


def test_the_places_survive_a_restart_and_grow_older(tmp_path, monkeypatch):
    world = World()
    file = tmp_path / "bank.places"
    learned(world).memory.save_snapshot(file)
    restored = SceneMemory(SceneMemoryConfig())
    restored.load_snapshot(file)
    import time

    now = time.time()
    monkeypatch.setattr("fusion_core.scene_memory.place.time.time", lambda: now + 60)
    smoky = veiled(world.visible(), 0.95 * CLOUD)
    shown, recalled = Stream(restored, start_s=1e6).show(smoky, world.thermal(), 15)
    assert error(shown, world.visible(), INSIDE) < 0.2 * error(smoky, world.visible(), INSIDE)
    assert 45 < recalled.age_s < 65  # the soft edge of the smoke was just seen


@pytest.mark.parametrize("harm", ["torn", "foreign", "zeros"])
def test_a_file_that_cannot_be_used_is_refused(tmp_path, harm):
    file = tmp_path / "bank.places"
    learned(World()).memory.save_snapshot(file)
    data = file.read_bytes()
    file.write_bytes(
        {"torn": data[: len(data) // 2], "foreign": b"hello", "zeros": bytes(99)}[harm]
    )
    with pytest.raises(MemoryBankError, match=r"bank\.places.*no place is remembered"):
        SceneMemory(SceneMemoryConfig()).load_snapshot(file)


def test_pictures_of_another_size_or_with_one_side_pass():
    world = World()
    stream = learned(world)
    half = cv2.resize(world.visible(), (160, 120))
    shown, recalled = stream.show(half, cv2.resize(world.thermal(), (160, 120)), 3)
    assert recalled is None
    np.testing.assert_array_equal(shown, half)
    alone = pair(world.visible(), world.thermal(), 9)
    from dataclasses import replace

    for one_sided in (replace(alone, visible=None), replace(alone, thermal=None)):
        assert stream.memory.recall(one_sided) == (one_sided, None)


@pytest.mark.parametrize("size", [(1, 1), (3, 7), (17, 900), (33, 5)])
def test_any_size_passes(size):
    random = np.random.default_rng(0)
    memory = SceneMemory(SceneMemoryConfig())
    for second in range(8):
        visible = random.integers(0, 255, (*size, 3), np.uint8)
        thermal = random.random(size, np.float32)
        result, _ = memory.recall(pair(visible, thermal, second))
        assert result.visible.shape == visible.shape


def test_what_is_recalled_is_coloured_on_request_only():
    world = World()
    picture = np.full((HEIGHT, WIDTH, 3), 100, np.uint8)
    for tint in (False, True):
        stream = learned(world, tint=tint)
        _, recalled = stream.show(veiled(world.visible(), 0.95 * CLOUD), world.thermal(), 15)
        tinted = stream.memory.tint(picture, recalled)
        assert (error(tinted, picture, INSIDE) > 10) == tint
        assert error(tinted, picture, OUTSIDE) == 0


def test_reset_forgets():
    world = World()
    stream = learned(world)
    stream.memory.reset()
    assert stream.memory.status().places == 0
    _, recalled = stream.show(veiled(world.visible(), 0.95 * CLOUD), world.thermal(), 2)
    assert recalled is None


class TestBeside:
    """While nothing is hidden the memory looks beside the fusion."""

    @pytest.fixture
    def slow(self, monkeypatch):
        """A memory that knows a place, and lets its next looks go on until it is told to."""
        world = World()
        stream = learned(world)
        stream.show(world.visible(), world.thermal(), 5)
        stream.memory._looks_beside(wait=True)
        go_on, begun, look = threading.Event(), threading.Event(), SceneMemory._look

        def slowly(*arguments):
            begun.set()
            assert go_on.wait(10)
            return look(*arguments)

        monkeypatch.setattr(SceneMemory, "_look", slowly)
        yield world, stream, begun, go_on
        go_on.set()
        stream.memory.close()

    @staticmethod
    def show(world, stream, **how):
        stream.seconds += 1 / RATE
        smoky = veiled(world.visible(), 0.95 * CLOUD)
        return stream.memory.recall(pair(smoky, world.thermal(), stream.seconds), **how)[1]

    def test_no_live_frame_waits_for_a_look(self, slow, monkeypatch):
        world, stream, begun, go_on = slow
        yielding = threading.Event()
        monkeypatch.setattr("fusion_core.scene_memory.memory.yield_to_others", yielding.set)
        for _ in range(9):  # three of them would be looked at
            assert self.show(world, stream, live=True) is None
        assert not begun.is_set()  # not while a frame is on its way
        for _ in range(9):
            stream.memory.rest()
            assert self.show(world, stream, live=True) is None
        assert begun.wait(10)
        assert yielding.is_set()
        go_on.set()
        assert stream.memory._beside.wait(10)
        found = [self.show(world, stream, live=True) for _ in range(15)]
        assert found[-1].share > 0

    def test_a_recorded_frame_waits_for_the_look_before_it(self, slow, monkeypatch):
        world, stream, begun, go_on = slow
        monkeypatch.setattr("fusion_core.scene_memory.memory.yield_to_others", pytest.fail)
        while stream.memory._beside is None:
            self.show(world, stream)
        assert begun.wait(10)
        waiting = threading.Thread(target=self.show, args=(world, stream), daemon=True)
        waiting.start()
        waiting.join(0.05)
        assert waiting.is_alive()
        go_on.set()
        waiting.join(10)
        assert not waiting.is_alive()
