"""The limits of each calendar service when events are cancelled quietly, that is, without a notice to the guests."""

#: Sentences for the operator, by calendar provider.
QUIET_CANCELS = {
    "google": (
        "Google sends no mail. The event disappears from the guests' calendars at Google; it may stay on the calendar "
        "of a guest who uses another service."
    ),
    "outlook": "Microsoft 365 always mails a cancellation to the guests of an event; this can't be prevented.",
    "caldav": (
        "A CalDAV server that invites guests itself also notifies them; this can't be prevented. With attendee_copies, "
        "Longarc removes the copies on guests' calendars, and nobody gets a mail."
    ),
}
#: A sentence for the operator about guests whom Longarc invited by mail.
QUIET_INVITATIONS = "Guests who were invited by mail get no cancellation, so the event stays on their calendars."
