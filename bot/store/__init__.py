"""PostgreSQL through SQLAlchemy, with a cache in front."""
