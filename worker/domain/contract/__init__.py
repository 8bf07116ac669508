"""The contract: its file format, its revisions, and the lint of its commitments. Pure."""
