"""CalDAV (RFC 4791): calendars on any server that speaks it."""
