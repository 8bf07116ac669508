"""Mails: the table of all kinds, the data each can show, and rendering in the reader's language."""
