"""The calendar service and the mail service of Google Workspace: Google Calendar and Gmail."""
