"""What Alembic runs: the migrations on the connection that `schema.migrate` hands over."""

from __future__ import annotations

from alembic import context

from planner_app.history.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    transaction_per_migration=False,
)
context.run_migrations()
