"""Planner, executor and checker: from a run's state to messages, and from a reply to facts."""
