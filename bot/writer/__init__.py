"""Sources and a language model in, drafts out.

The names below are imported when they are first used, so that starting the bot loads none of
the libraries behind them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.writer.errors import DraftRefused, ModelUnavailable
    from bot.writer.fetch import Cache
    from bot.writer.offline import OfflineWriter
    from bot.writer.openai_writer import OpenAIWriter
    from bot.writer.sources import SourceReader

__all__ = ["Cache", "DraftRefused", "ModelUnavailable", "OfflineWriter", "OpenAIWriter", "SourceReader"]

_HOMES = {
    "Cache": "bot.writer.fetch",
    "DraftRefused": "bot.writer.errors",
    "ModelUnavailable": "bot.writer.errors",
    "OfflineWriter": "bot.writer.offline",
    "OpenAIWriter": "bot.writer.openai_writer",
    "SourceReader": "bot.writer.sources",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
