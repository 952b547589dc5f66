"""From events to what a screen, `show`, `watch` or a replay displays: pure, no I/O, no clock."""
