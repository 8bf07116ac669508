"""iCalendar (RFC 5545): parsing, time zones, recurrence, and our own events as text."""
