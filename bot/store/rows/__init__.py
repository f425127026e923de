"""The tables as SQLAlchemy sees them: `alembic/` is what creates them, and a test compares the two."""
