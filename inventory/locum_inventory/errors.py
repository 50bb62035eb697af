"""The base of every exception that locum raises itself."""

from __future__ import annotations


class LocumError(Exception):
    """Something did not work, and the text says what, for people."""
