"""Several tasks in one run: their data, and whose turn it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from fusion_core.errors import UsageError
from fusion_lab.data import Example, FusionTask, Needs, read_examples

ValueT = TypeVar("ValueT")


class TaskRotation(Generic[ValueT]):
    """Training data of one or several tasks, of which each step takes the next one's.

    Args:
        data: Task -> its data, in the order of their turns.
    """

    def __init__(self, data: Mapping[FusionTask, Sequence[ValueT]]) -> None:
        self._data = tuple(data.items())

    def at(self, step: int) -> tuple[FusionTask, Sequence[ValueT]]:
        """Return the task of a step, counted from 0, and its data."""
        return self._data[step % len(self._data)]


def read_tasks(
    tasks: Mapping[FusionTask, Sequence[str]], data: Sequence[Path], needs: Needs
) -> list[Example]:
    """Decode the examples of all tasks of a recipe, task by task.

    Args:
        tasks: Task -> its folders below the one folder of ``data``; empty: visible and infrared
            pairs from all folders of ``data``.
        data: Folders that the run was given.
        needs: What to read beside the pictures.

    Raises:
        UsageError: The recipe names folders, and more than one folder of data was given.
        SourceError: See :func:`read_examples`.
    """
    if not tasks:
        return read_examples(data, "vif", needs)
    if len(data) != 1:
        raise UsageError(
            f"--data {' '.join(map(str, data))}: {len(data)} folders, but the recipe names the "
            "folders of its tasks; give the one folder that holds them"
        )
    return [
        example
        for task, folders in tasks.items()
        for example in read_examples([data[0] / folder for folder in folders], task, needs)
    ]


def by_task(examples: Iterable[Example]) -> dict[FusionTask, list[Example]]:
    """Return the examples of each task, tasks in the order of their first examples."""
    grouped: dict[FusionTask, list[Example]] = {}
    for example in examples:
        grouped.setdefault(example.task, []).append(example)
    return grouped
