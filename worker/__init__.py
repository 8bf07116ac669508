"""Longarc: books, protects and follows through on career conversations."""

__version__ = "0.1.0"
