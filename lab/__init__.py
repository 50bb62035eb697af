"""Hosts on one machine, made of namespaces, with faults as verbs. Knows nothing of locum."""

from lab.client import Sample
from lab.lab import Lab
from lab.needs import LabFault
from lab.watcher import Round

__all__ = ["Lab", "LabFault", "Round", "Sample"]
