"""The contract files of the demo, filled from templates and read by the parser of Longarc."""

from datetime import date, timedelta
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from examples.northlight import TEMPLATES
from worker.domain.contract import markdown
from worker.domain.model import Contract


class ContractFiles:
    """Fills the demo's contracts with dates and writes them to `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        loader = FileSystemLoader(TEMPLATES / "contracts")
        # no autoescape: this is Markdown, and only dates are filled in
        self._environment = Environment(loader=loader, undefined=StrictUndefined, keep_trailing_newline=True)  # noqa: S701

    def write(self, name: str, today: date) -> Contract:
        """Write the contract file with dates relative to `today`, and return it as parsed."""
        text = self._environment.get_template(f"{name}.md").render(
            day=lambda days: _move_to_weekday(today + timedelta(days=days)).isoformat(),
            month=lambda months: _format_month(today, months),
        )
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._folder / f"{name}.md"
        file.write_text(text, encoding="utf-8")
        return markdown.parse_contract(file.read_text(encoding="utf-8"), file.name)


def _move_to_weekday(day: date) -> date:
    """Return the day, or the Friday before it when it is on a weekend."""
    return day - timedelta(days=max(day.weekday() - 4, 0))


def _format_month(today: date, months: int) -> str:
    year, index = divmod(today.year * 12 + today.month - 1 + months, 12)
    return f"{year}-{index + 1:02}"
