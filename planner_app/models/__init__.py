"""Everything between an agent's messages and a model's reply; the types are in `port`."""
