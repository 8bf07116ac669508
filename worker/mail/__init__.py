"""Mails: the table of their kinds, the data that they show, and their rendering in the reader's language."""
