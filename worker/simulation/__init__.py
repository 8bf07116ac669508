"""Simulations: the program runs unchanged with simulated calendars, mails, people and time, and writes a ledger."""
