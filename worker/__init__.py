"""Longarc: books, protects and follows through on career conversations."""

from zoneinfo import ZoneInfo, reset_tzpath

__version__ = "0.1.0"

# Time zones come from the pinned package `tzdata`: the files of the machine may be years older. Every process imports
# this module first, whether it is a command, a Huey consumer, a test run or a child process.
reset_tzpath(to=())
ZoneInfo.clear_cache()
