"""The operator's settings and the people file, read and validated."""
