"""Companies and people for simulated years: the real program, in memory, with people who act as most do."""
