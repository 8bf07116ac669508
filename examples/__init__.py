"""Examples: companies to try Longarc with."""
