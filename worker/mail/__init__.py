"""Mails: which there are, what each may say, and how it is rendered in its reader's language."""
