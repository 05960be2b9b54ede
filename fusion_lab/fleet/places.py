"""Files and folders here and in object stores, through fsspec."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, Final

from fusion_core.errors import FusionError, SourceError, UsageError, missing_extra
from fusion_core.plugins import SOURCES, load_plugin, plugin_names
from fusion_core.runtime.files import atomic_path, write_atomic
from fusion_core.source.base import SourceKind

_BAGS: Final = (".bag", ".mcap")
_MAGIC: Final = frozenset("*?[")


def is_scene(address: str) -> bool:
    """Tell whether an address is of a recorded source of the package, such as a synthetic scene.

    Raises:
        UsageError: It is of a live source, which never ends.
    """
    scheme, separator, _ = address.partition("://")
    if not separator or scheme not in plugin_names(SOURCES) or scheme in {"http", "https"}:
        return False
    if load_plugin(SOURCES, scheme, SourceKind).live:
        raise UsageError(f"{address}: is live; a batch takes recordings, `fusion run` takes this")
    return True


def file_system(address: str) -> tuple[Any, str]:
    """Return the fsspec file system that holds an address, and the path in it.

    Raises:
        UsageError: The kind of address is unknown, or its package is missing.
    """
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise missing_extra("fusion batch", "fsspec", "batch") from None
    try:
        system, path = url_to_fs(
            str(Path(address).expanduser()) if "://" not in address else address
        )
    except (ImportError, ValueError) as error:
        raise UsageError(f"{address}: cannot be opened ({error})") from None
    return system, str(path)


def is_local(system: Any) -> bool:  # noqa: ANN401 - fsspec has no types
    """Tell whether a file system is this machine's own."""
    return "file" in ((system.protocol,) if isinstance(system.protocol, str) else system.protocol)


def absolute(address: str, beside: str = "") -> str:
    """Return an address that means the same from everywhere.

    Args:
        address: A path or an address.
        beside: A file; relative paths are seen from its folder. Empty: from the present one.
    """
    system, path = file_system(address)
    if not is_local(system):
        return address
    if beside and "://" not in address and not Path(address).expanduser().is_absolute():
        folder_system, folder = file_system(beside)
        place = str(PurePosixPath(folder).parent / address)
        return os.path.normpath(place) if is_local(folder_system) else _address(beside, place)
    return path


def matches(address: str) -> list[str]:
    """Return the addresses that a pattern matches, sorted, or the one that it is, if it exists."""
    system, path = file_system(address)
    with _reading(address):
        if system.exists(path):
            return [address]
        found = system.glob(path) if _MAGIC & set(path) else []
    return [_address(address, name) for name in sorted(found)]


def find_bags(address: str) -> list[str]:
    """Return the bags at and below an address, sorted.

    A folder with ``metadata.yaml`` is one bag, whatever else it holds.
    """
    system, path = file_system(address)
    with _reading(address):
        if not system.isdir(path):
            return [address] if path.lower().endswith((*_BAGS, ".db3")) else []
        files = sorted(system.find(path))
    folders = {str(PurePosixPath(file).parent) for file in files if file.endswith("/metadata.yaml")}
    alone = [
        file
        for file in files
        if file.lower().endswith(_BAGS)
        and not folders.intersection(map(str, PurePosixPath(file).parents))
    ]
    return [_address(address, bag) for bag in sorted({*folders, *alone})]


def measure(address: str) -> tuple[int, str]:
    """Return the size in bytes and a digest that changes when any file of an input does.

    The digest is made from what the file system says of each file (time of change, or the object
    store's own digest), not from the contents.

    Raises:
        SourceError: There is nothing.
    """
    if is_scene(address):
        return 0, hashlib.sha256(address.encode()).hexdigest()
    system, path = file_system(address)
    with _reading(address):
        system.invalidate_cache()
        pattern = not system.exists(path) and bool(_MAGIC & set(path))
        files = sorted(system.glob(path) if pattern else system.find(path))
        if not files:
            raise SourceError(f"{address}: does not exist or is empty; check the path")
        total = sum(int(system.size(file) or 0) for file in files)
        parts = [(PurePosixPath(file).name, system.ukey(file)) for file in files]
    return total, hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def stage(address: str, folder: Path) -> tuple[str, int]:
    """Return where an input can be read on this machine, and how many bytes were copied for it.

    What is on this machine stays where it is.

    Args:
        address: File, folder, pattern or scene.
        folder: Empty folder for the copy.

    Raises:
        SourceError: It cannot be read.
    """
    if not address or is_scene(address):
        return address, 0
    system, path = file_system(address)
    if is_local(system):
        return path, 0
    name = PurePosixPath(path).name
    with _reading(address):
        folder.mkdir(parents=True)
        if _MAGIC & set(path) and not system.exists(path):
            system.get(system.glob(path), f"{folder}/")
        else:
            system.get(path, str(folder / name), recursive=bool(system.isdir(path)))
    copied = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return str(folder / name), copied


def read_text(address: str) -> str:
    """Return the UTF-8 text of a file.

    Raises:
        UsageError: It cannot be read, or is no text.
    """
    system, path = file_system(address)
    try:
        return str(system.cat_file(path).decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise UsageError(f"{address}: is no UTF-8 text; save it as CSV in UTF-8") from None
    except OSError as error:
        raise UsageError(f"{address}: cannot be read ({_reason(error)}); check the path") from None


def write_whole(system: Any, path: str, data: bytes) -> None:  # noqa: ANN401
    """Write a file that is either whole or not there; object stores do so by themselves."""
    if is_local(system):
        write_atomic(path, data)
    else:
        system.pipe_file(path, data)


def upload_whole(system: Any, local: Path, path: str) -> None:  # noqa: ANN401
    """Copy a large file to where it is either whole or not there."""
    if is_local(system):
        with atomic_path(path) as temporary:
            system.get_file(str(local), str(temporary))
    else:
        system.put_file(str(local), path)


@contextmanager
def _reading(address: str) -> Iterator[None]:
    """Say in one line why an address cannot be read."""
    try:
        yield
    except FusionError:
        raise
    except Exception as error:
        # Every store has its own errors.
        raise SourceError(f"{address}: cannot be read ({_reason(error)})") from error


def _reason(error: BaseException) -> str:
    strerror = error.strerror if isinstance(error, OSError) else None
    return strerror or " ".join(str(error).split()) or type(error).__name__


def _address(like: str, path: str) -> str:
    """Return a path in a file system as an address of the same kind."""
    scheme, separator, _ = like.partition("://")
    return f"{scheme}://{path.lstrip('/')}" if separator and scheme != "file" else path
