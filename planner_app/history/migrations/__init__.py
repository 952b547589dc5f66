"""Alembic's migrations of the history, oldest first in `versions/`."""
