"""Working hours, free/busy, and the search for time slots. Pure functions, without I/O."""
