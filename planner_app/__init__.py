"""A terminal app to which a person delegates tasks; every run is one list of events."""

__version__ = "0.1.0"
