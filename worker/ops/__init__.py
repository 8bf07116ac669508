"""For the operator: whether everything works (`checks`), how it stands (`status`), and coverage by group."""
