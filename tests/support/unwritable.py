"""Texts whose rows the database refuses to mark as posted, as the constraint of a broken row does."""

from __future__ import annotations

from sqlalchemy import Connection, text

_MAKE = (
    "CREATE TABLE unwritable (text text)",
    """
    CREATE FUNCTION refuse_unwritable() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF EXISTS (SELECT FROM unwritable WHERE text = NEW.text) THEN
            RAISE 'this row is unwritable' USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER refuse_unwritable BEFORE UPDATE ON tweets
        FOR EACH ROW WHEN (NEW.status = 'posted') EXECUTE FUNCTION refuse_unwritable()
    """,
)
_DROP = (
    "DROP TRIGGER refuse_unwritable ON tweets",
    "DROP FUNCTION refuse_unwritable",
    "DROP TABLE unwritable",
)


def install(connection: Connection) -> None:
    for statement in _MAKE:
        connection.execute(text(statement))


def remove(connection: Connection) -> None:
    for statement in _DROP:
        connection.execute(text(statement))


def forbid(connection: Connection, words: str) -> None:
    """No row with this text is marked as posted from now on."""
    connection.execute(text("INSERT INTO unwritable VALUES (:words)"), {"words": words})


def allow_all(connection: Connection) -> None:
    connection.execute(text("DELETE FROM unwritable"))
