"""Languages of people: translated words, dates, and reasons as sentences."""
