"""Loads a file of settings that has a given text."""

from pathlib import Path

from worker.settings.load import Settings, load_settings


def load_settings_text(folder: Path, text: str, **env: str) -> Settings:
    """Write the text to `longarc.toml` in the folder, and load it in that environment. Raises Problems."""
    path = folder / "longarc.toml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path, env)
