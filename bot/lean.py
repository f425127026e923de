"""Loads other people's packages without what they load in turn and nobody here uses."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from types import ModuleType


@contextmanager
def instead_of(name: str, module: ModuleType | None) -> Iterator[None]:
    """Has imports of a module find another one for the block, or none, unless it is loaded already."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = module  # type: ignore[assignment]  # None is Python's own mark of "not there"
    try:
        yield
    finally:
        del sys.modules[name]


@cache
def load_twitter_text() -> None:
    """Imports twitter-text with a stand-in for `pkg_resources`, of which it needs one function.

    The real one takes megabytes and a good part of a short command's time, and warns of its own end.
    """
    standing_in = ModuleType("pkg_resources")
    standing_in.__dict__["resource_string"] = _resource_string
    with instead_of("pkg_resources", standing_in):
        import twitter_text  # noqa: F401 - it stays loaded


def _resource_string(module: str, name: str) -> bytes:
    return files(module.rpartition(".")[0]).joinpath(name).read_bytes()
