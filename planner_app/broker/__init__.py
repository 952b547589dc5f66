"""The host side of the tools: what a call from the sandbox may do outside, and doing it."""
