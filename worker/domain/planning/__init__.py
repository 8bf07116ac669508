"""Decides what happens to a pair next, and when. Pure."""
