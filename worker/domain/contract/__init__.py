"""The contract: its file format, the check before it is recorded, its revisions, and the lint of its commitments."""
