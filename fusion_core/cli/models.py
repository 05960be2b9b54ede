"""``fusion models``: list the fusion models."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Models:
    """List the fusion models, their size and whether their weights are here."""

    def run(self) -> int:
        """Print one line per model."""
        from fusion_core.models import list_models

        for model in list_models():
            state = "ready" if model.weights_present else "no weights"
            print(
                f"{model.name:12s} {model.parameters / 1e6:6.3f} M  {state:10s} {model.description}"
            )
        return 0
