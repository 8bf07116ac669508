"""Reads calendars, plans, writes decisions with their effects, and performs the effects."""
