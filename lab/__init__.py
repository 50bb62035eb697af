"""Hosts on one machine, built from namespaces, with faults as verbs. Independent of locum."""

from lab.client import Sample
from lab.lab import Lab
from lab.needs import LabError
from lab.watcher import Round

__all__ = ["Lab", "LabError", "Round", "Sample"]
