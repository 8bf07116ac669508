"""A stand-in for Google's calendars, mail and token endpoint, as strict as the services' own documentation.

It can be started by hand, too: `python -m tests.doubles.google --port 8765 PERSON…`.
"""

from tests.doubles.google.calendars import Notice
from tests.doubles.google.hands import GoogleHands
from tests.doubles.google.server import Asked, Google

__all__ = ["Asked", "Google", "GoogleHands", "Notice"]
