"""Mails that nobody reads: a long simulation sends them, but neither writes nor keeps them."""

from email.message import EmailMessage

from worker.mail.context import MailContext
from worker.mail.render import MailRenderer
from worker.providers.memory import MemoryMailer


class BlankMailRenderer(MailRenderer):
    """Renders a sender and no text: whole mails add about half to the time that a simulation takes."""

    def render(self, letter: MailContext) -> EmailMessage:
        """A mail with a sender, which the calendar part of an invitation asks for, and nothing else."""
        message = EmailMessage()
        message["From"] = self.make_sender(letter)
        return message


class DiscardingMailer(MemoryMailer):
    """Remembers which mails were sent, and not what they said."""

    def send(self, message: EmailMessage, key: str) -> None:
        """Send the mail to nobody."""
        super().send(message, key)
        self.sent.clear()
