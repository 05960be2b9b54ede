"""Weight files of networks that others are built on: half precision, whole or refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from fusion_core.errors import WeightsError
from fusion_core.runtime.tensors import read_tensors, write_tensors

NetworkT = TypeVar("NetworkT", bound=nn.Module)


@dataclass(frozen=True, slots=True)
class WeightFile(Generic[NetworkT]):
    """How the weights of one kind of network are kept.

    Attributes:
        format: Name of the format.
        advice: What to do about a file that cannot be used.
        build: Gives the untrained network of what was kept of its configuration; raises
            ``ValidationError`` where that is none.
    """

    format: str
    advice: str
    build: Callable[[str], NetworkT]

    @property
    def _expected(self) -> dict[str, str]:
        return {"format": self.format, "version": "1"}

    def save(
        self,
        network: NetworkT,
        path: Path,
        training: Mapping[str, Any],
        config: Mapping[str, Any] | None = None,
    ) -> None:
        """Write a network in half precision; the file is either whole or as it was.

        Args:
            network: The network.
            path: File to write.
            training: Plain values about the training, kept with the weights.
            config: Its configuration; None: it has none.

        Raises:
            OSError: The file cannot be written.
        """
        tensors = {
            key: value.detach().cpu().half().contiguous()
            for key, value in network.state_dict().items()
        }
        kept = {} if config is None else {"config": json.dumps(config, sort_keys=True)}
        described = {**self._expected, **kept, "training": json.dumps(training, sort_keys=True)}
        write_tensors(path, tensors, described)

    def load(self, path: str | Path, dtype: torch.dtype = torch.float32) -> NetworkT:
        """Return a network that :meth:`save` wrote.

        Raises:
            WeightsError: The file is missing, torn, foreign or does not fit.
        """
        metadata, tensors = read_tensors(path, self._expected, WeightsError, self.advice)
        return self.fill(metadata.get("config", ""), tensors, path).to(dtype)

    def fill(self, config: str, tensors: Mapping[str, Tensor], path: str | Path) -> NetworkT:
        """Return a network of these tensors.

        Args:
            config: What was kept of its configuration.
            tensors: Name -> tensor.
            path: Where they come from, for the error.

        Raises:
            WeightsError: They do not fit.
        """
        try:
            network = self.build(config)
            network.load_state_dict(tensors)
        except (ValidationError, RuntimeError, AssertionError) as error:
            reason = " ".join(str(error).split())[:200]
            raise WeightsError(f"{path}: does not fit ({reason}); {self.advice}") from None
        return network
