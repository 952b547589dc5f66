"""Tests against real parts: containers, processes, terminals."""
