"""The sandbox without a container: its wire format, its limits, its host half and a local guest."""
