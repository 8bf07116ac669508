"""What the tests share."""

from pathlib import Path

#: The folder of the repository.
ROOT = Path(__file__).resolve().parents[2]
