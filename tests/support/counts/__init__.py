"""Counts over the ledger of a company's year that show whether the rules were kept. They use no planning code."""
