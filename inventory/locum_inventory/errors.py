"""The base class of all exceptions that locum raises."""

from __future__ import annotations


class LocumError(Exception):
    """An error of locum; its text describes the error to a person."""
