"""Counts over a ledger that say whether a company's year went as promised. Pure: reads lines, knows no planner."""
