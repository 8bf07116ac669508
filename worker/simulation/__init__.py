"""The same program on simulated calendars, people and time."""
