"""What Supabase sets up before the first migration, and who comes in through it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from sqlalchemy import URL, Connection, Engine, create_engine, text

ROLES = """
DO $$
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY ARRAY['anon', 'authenticated', 'service_role'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN NOINHERIT', role);
        END IF;
    END LOOP;
    ALTER ROLE service_role BYPASSRLS;
END
$$
"""
EVERYBODY = "anon, authenticated, service_role"
DEFAULT_GRANTS = [
    f"GRANT USAGE ON SCHEMA public TO {EVERYBODY}",
    *(
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON {kind} TO {EVERYBODY}"
        for kind in ("TABLES", "SEQUENCES", "FUNCTIONS")
    ),
]
# What a person runs who was told "permission denied" and found this on the web.
GRANT_EVERYTHING = [
    f"GRANT ALL ON ALL {kind} IN SCHEMA public TO {EVERYBODY}"
    for kind in ("TABLES", "SEQUENCES", "FUNCTIONS")
]


def as_supabase_makes_it(url: URL) -> None:
    """Makes the roles, and has the role that migrates grant them all that it will make."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in (ROLES, *DEFAULT_GRANTS):
            connection.execute(text(statement))
    engine.dispose()


@contextmanager
def signed_in(
    engine: Engine, role: str = "authenticated", user: UUID | None = None, *, claims: str | None = None
) -> Iterator[Connection]:
    """A transaction as PostgREST begins it: with the token's claims, as the role it names.

    Args:
        engine: the database, as the tables' owner.
        role: `anon`, `authenticated` or another that there is.
        user: the token's subject.
        claims: what the setting holds, instead of a token with that subject.
    """
    if claims is None and user is not None:
        claims = json.dumps({"sub": str(user), "role": role})
    with engine.connect() as connection, connection.begin():
        if claims is not None:
            connection.execute(
                text("SELECT set_config('request.jwt.claims', :claims, true)"), {"claims": claims}
            )
        connection.execute(text(f"SET LOCAL ROLE {role}"))
        yield connection
