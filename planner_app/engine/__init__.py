"""Drives one run: decide, perform, record."""
