"""Fusion networks for other run times."""

from fusion_lab.export.network import Exported, export_network

__all__ = ["Exported", "export_network"]
