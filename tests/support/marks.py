"""Marks for tests that cannot run everywhere."""

from __future__ import annotations

import os

import pytest

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: gates, namespaces, raw sockets")
