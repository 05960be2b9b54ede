"""``fusion models``: list the fusion models."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Models:
    """List the fusion models, their size and whether their weights are there."""

    def run(self) -> int:
        """Print one line per model."""
        from fusion_core.models import list_models

        models = list_models()
        width = max(len(model.name) for model in models)
        for model in models:
            state = "ready" if model.weights_present else "no weights"
            size, tasks = f"{model.parameters / 1e6:6.3f} M", ",".join(model.tasks)
            print(f"{model.name:{width}s} {size}  {state:10s} {tasks:4s} {model.description}")
        return 0
