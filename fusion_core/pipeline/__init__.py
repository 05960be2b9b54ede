"""The pipeline: from two camera streams to one fused stream."""

from fusion_core.pipeline.pipeline import Pipeline
from fusion_core.pipeline.status import PipelineStatus, pairing_problem

__all__ = ["Pipeline", "PipelineStatus", "pairing_problem"]
