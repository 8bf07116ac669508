"""The rules of the program, as pure functions and values: no I/O, no clock, no settings."""
