"""Scene memory: what was seen of a place before smoke, darkness or glare hid it."""

from fusion_core.scene_memory.memory import SceneMemory, SceneMemoryStatus
from fusion_core.scene_memory.settings import SceneMemoryConfig

__all__ = ["SceneMemory", "SceneMemoryConfig", "SceneMemoryStatus"]
