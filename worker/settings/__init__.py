"""Reads and validates the operator's settings, and the CSV files that people keep."""
