"""Networks for other run times."""

from fusion_lab.export.network import Exported, export_network, exported_card
from fusion_lab.export.prior import export_prior

__all__ = ["Exported", "export_network", "export_prior", "exported_card"]
