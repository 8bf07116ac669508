"""What each calendar service can't promise when an event is cancelled without notice to its guests."""

#: By the name of the service: sentences for the operator.
QUIET_CANCELS = {
    "google": (
        "Google sends no mail. The event goes from the guests' calendars at Google; a guest with a calendar elsewhere "
        "may keep it."
    ),
    "outlook": "Microsoft 365 always mails a cancellation to the guests of an event; there is no way without.",
    "caldav": (
        "A CalDAV server that invites guests by itself also tells them; there is no way without. Where Longarc puts "
        "copies on guests' calendars (attendee_copies), these go without a mail."
    ),
}
#: Of guests whom Longarc invited by mail.
QUIET_INVITATIONS = "Guests who were invited by mail get no withdrawal, and keep the event on their calendars."
