"""One file per step of the schema, numbered from 0001."""
