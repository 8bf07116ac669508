"""The demo (`make demo`): twenty weeks of the main job on real servers under a stepped clock, told as a story."""

from pathlib import Path

TEMPLATES = Path(__file__).parent / "templates"
