"""Exit codes, beside 0 (done), 1 (the task failed), 2 (bad usage or input) and 3 (partial)."""

MISSING = 4
"""A needed part is missing: engine, image, model or key."""
NEEDS_ANSWER = 5
"""The run waits for a person."""
INTERRUPTED = 130
