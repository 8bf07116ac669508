"""The double of Google: calendars, mail, directory and sign-in, as strict as Google's own documentation.

It can also be started by itself: `python -m tests.doubles.google --port 8765 PERSON…`.
"""

from tests.doubles.google.calendars import Notice
from tests.doubles.google.hands import GoogleHands
from tests.doubles.google.server import Google, RecordedRequest

__all__ = ["Google", "GoogleHands", "Notice", "RecordedRequest"]
