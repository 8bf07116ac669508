"""Longarc: books, protects and follows through on career conversations."""

from zoneinfo import ZoneInfo, reset_tzpath

__version__ = "0.1.0"

# Time zones follow the pinned package `tzdata`, never a machine's own files, which may be years older. Whatever starts
# this program (the command, a Huey consumer, the tests, a process of a pool) imports this first.
reset_tzpath(to=())
ZoneInfo.clear_cache()
