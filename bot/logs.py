"""Logs: events with facts, on stderr, as JSON or for a terminal, and never a secret."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

from bot.lean import instead_of
from bot.redaction import Redaction

with instead_of("rich", None):
    # It would be loaded to draw tracebacks.
    import structlog

_TALKATIVE = ("urllib3", "alembic", "httpx", "httpx2", "httpcore", "httpcore2", "openai")


def _redacted(value: Any, redaction: Redaction) -> Any:
    """Values without secrets, before rendering escapes or cuts them."""
    if isinstance(value, str):
        return redaction(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, Mapping):
        return {redaction(str(key)): _redacted(item, redaction) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_redacted(item, redaction) for item in value]
    return redaction(str(value))


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to whatever stderr is now, so that a progress line can step aside for a log line."""

    @property
    def stream(self) -> TextIO:
        """The present stderr."""
        return sys.stderr

    @stream.setter
    def stream(self, _value: TextIO) -> None:
        return


def get_logger() -> Any:
    """The program's logger: `info`, `warning` and `error` take an event's name and its facts."""
    return structlog.get_logger("bot")


def configure(
    *,
    level: str,
    style: str | None,
    secrets: Iterable[str],
    quiet: Sequence[str] = (),
    stream: TextIO | None = None,
) -> None:
    """Sets logging up for the whole program.

    Args:
        level: the least level that is shown.
        style: `json` or `console`; None is console on a terminal.
        secrets: values that must never appear.
        quiet: loggers of libraries that print secrets; only their warnings are shown.
        stream: where lines go; stderr by default.
    """
    out = stream if stream is not None else sys.stderr
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    redaction = Redaction(secrets)

    def redact(_logger: Any, _name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        return {key: _redacted(value, redaction) for key, value in event.items()}

    console = style == "console" or (style is None and out.isatty())
    last: list[structlog.typing.Processor] = (
        [
            structlog.dev.ConsoleRenderer(
                colors=out.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
        if console
        else [structlog.processors.JSONRenderer(default=str)]
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            redact,
            *last,
        ],
    )
    handler = logging.StreamHandler(out) if stream is not None else _StderrHandler()
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # A beat that is skipped because the one before still runs is what was asked for: rows say what is due.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    for name in (*_TALKATIVE, *quiet):
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
