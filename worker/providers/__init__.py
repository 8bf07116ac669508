"""Calendars and mail services. Each module here speaks to one kind and to nothing else of ours but the domain."""
