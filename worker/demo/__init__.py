"""`longarc demo`: twenty weeks of the main job on real servers under a stepped clock, told as a story."""

from worker.demo.run import run

__all__ = ["run"]
