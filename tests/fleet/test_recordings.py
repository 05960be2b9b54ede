"""Which recordings a command line names, and what they are called."""

import pytest
from bag_maker import BagMaker

from fusion_core.errors import UsageError
from fusion_lab.fleet.recordings import Recording, find_recordings, name_recordings


def write_bag(path, kind):
    path.parent.mkdir(parents=True, exist_ok=True)
    return BagMaker(path, kind).close()


def table(folder, text):
    path = folder / "fleet.csv"
    path.write_text(text)
    return str(path)


def test_bags_are_found_at_any_depth_each_once(tmp_path):
    bags = [
        write_bag(tmp_path / "day1" / "drive", "mcap"),
        write_bag(tmp_path / "day2" / "drive", "sqlite"),
        write_bag(tmp_path / "day2" / "old", "ros1"),
    ]
    (tmp_path / "day2" / "notes.txt").write_text("no bag")
    found = [recording.bag for recording in find_recordings([str(tmp_path)])]
    assert sorted(found) == sorted(map(str, bags))
    again = find_recordings([str(tmp_path), str(bags[0]), f"{tmp_path}/day*/dr*"])
    assert sorted(recording.bag for recording in again) == sorted(map(str, bags))


def test_names_are_unique_and_stay(tmp_path):
    twins = [Recording(bag="/a/drive"), Recording(bag="/b/drive.mcap")]
    first, second = name_recordings(twins, {})
    assert first.name != second.name
    assert {name.partition("-")[0] for name in (first.name, second.name)} == {"drive"}
    # Alone and again, a recording finds the results that it has.
    present = {first.name: first.identity, second.name: second.identity}
    assert name_recordings(twins[:1], present) == [first]
    # A recording never takes the folder of another one.
    (alone,) = name_recordings([Recording(bag="/c/drive")], {"drive": twins[0].identity})
    assert alone.name.startswith("drive-")
    (plain,) = name_recordings([Recording(bag="/a/drive")], {"drive": twins[0].identity})
    assert plain.name == "drive"


@pytest.mark.parametrize("name", ["../up", "a b", ".hidden", "Straße/ß"])
def test_names_of_files_are_made_safe(name):
    (named,) = name_recordings([Recording(bag=f"/data/{name}.mcap")], {})
    assert "/" not in named.name
    assert not named.name.startswith(".")
    assert named.name.isascii()


def test_a_table_names_recordings(tmp_path):
    text = (
        "\ufeffvisible, thermal,bag,name,calibration\n# a comment\nv.mp4,t.mp4,,street,rig.yaml\n"
    )
    recordings = find_recordings([table(tmp_path, text + "\n,,/data/bag,,\n")])
    here = str(tmp_path)
    assert recordings == [
        Recording("street", "", f"{here}/v.mp4", f"{here}/t.mp4", calibration=f"{here}/rig.yaml"),
        Recording("", "/data/bag"),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("bag;name\nx;y\n", ["unknown column 'bag;name'", "commas"]),
        ("bag,bag\nx,y\n", ["'bag' twice"]),
        ("bag\n", ["names no recording"]),
        ("bag,visible,thermal\nb,v,t\n,v,\n", ["line 2", "line 3", "needs bag, or visible"]),
        ("bag,name\nb,../up\n", ["line 2", "'../up'"]),
        ("bag\na,b\n", ["line 2", "more cells"]),
        ("visible,thermal,visible_topic\nv,t,/t\n", ["line 2", "without a bag"]),
        ("bag,name\na,x\nb,x\n", ["2 recordings", "x"]),
        ("bag\nzmq://host:1/x\n", ["zmq://host:1/x", "live"]),
    ],
)
def test_a_wrong_table_is_refused_by_line(tmp_path, text, words):
    with pytest.raises(UsageError) as caught:
        find_recordings([table(tmp_path, text)])
    assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("nowhere", ["nowhere", "does not exist"]),
        ("", ["holds no bag", "table"]),
        ("*.bag", ["does not exist"]),
        ("gopher://x/y", ["gopher"]),
    ],
)
def test_what_holds_no_recording_is_refused(tmp_path, given, words):
    with pytest.raises(UsageError) as caught:
        find_recordings([given if "://" in given else f"{tmp_path}/{given}"])
    assert all(word in str(caught.value) for word in words), caught.value
