"""Working time, free time, and which slot fits best. Pure."""
