"""A server that runs networks for pipelines in other processes and on other machines."""

from fusion_core.serving.server import Server

__all__ = ["Server"]
