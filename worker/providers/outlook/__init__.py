"""The calendar service and the mail service of Microsoft 365, through Microsoft Graph."""
