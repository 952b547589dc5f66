"""The command line: one small file per group of commands, each importing what it needs late."""
