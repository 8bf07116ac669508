"""Decides what happens next for a pair, and when. Pure functions, without I/O."""
