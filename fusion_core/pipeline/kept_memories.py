"""What a pipeline remembers across restarts: the memory bank and the places of the scene memory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fusion_core.pipeline.builders import open_snapshots
from fusion_core.pipeline.statistics import unique
from fusion_core.runtime.closable import Closable

if TYPE_CHECKING:
    from fusion_core.memory import MemoryConfig
    from fusion_core.memory.kept import KeptBank
    from fusion_core.scene_memory import SceneMemory


class KeptMemories(Closable):
    """Loads both memories at the start, saves them now and then and in the end.

    Args:
        config: Where and how often.
        bank: The memory bank of the first network in force, None where it has none.
        scenes: The scene memory, None where it is off.
        reset_invalid: Set an unusable file aside instead of raising.

    Raises:
        MemoryBankError: A file is torn or foreign, and ``reset_invalid`` is False.

    Attributes:
        health: Conditions of every result, such as ``memory_fresh``.
    """

    def __init__(
        self,
        config: MemoryConfig,
        bank: KeptBank | None,
        scenes: SceneMemory | None,
        *,
        reset_invalid: bool,
    ) -> None:
        self._config = config
        self._bank, self._scenes = bank, scenes
        self._kept_bank, self._kept_scenes = open_snapshots(config, bank, scenes)
        kept = (self._kept_bank, self._kept_scenes)
        self.health = unique(sum((one.load(reset_invalid=reset_invalid) for one in kept), ()))

    def tick(self, bank: KeptBank | None) -> None:
        """Save what is due; take up the bank of a server that has just come.

        Args:
            bank: The bank of the first network now.
        """
        if bank is not self._bank:
            self._kept_bank.close()
            self._bank = bank
            self._kept_bank = open_snapshots(self._config, bank, None)[0]
            self.health = self._kept_bank.load(reset_invalid=True)
        self._kept_bank.tick()
        self._kept_scenes.tick()

    def save(self, *, with_bank: bool) -> Path:
        """Save now and return the file.

        Args:
            with_bank: The network in force has a bank.

        Raises:
            MemoryBankError: No file is configured, or it cannot be written.
        """
        if self._scenes is not None and self._config.file:
            path = self._kept_scenes.save()
            return self._kept_bank.save() if with_bank else path
        return self._kept_bank.save()

    def close(self) -> None:
        """Save both for the last time."""
        self._kept_bank.close()
        self._kept_scenes.close()
