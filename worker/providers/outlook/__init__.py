"""Microsoft 365: calendars and mail through Microsoft Graph."""
