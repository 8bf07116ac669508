"""The pure part: what is decided, and when. No I/O, no clock, no settings."""
