"""The demo (`make demo`): twenty weeks of a made-up company on real servers under a stepped clock, shown as a page."""

from pathlib import Path

TEMPLATES = Path(__file__).parent / "templates"
