"""The contract files of the demo, filled from templates and read by the parser of Longarc."""

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from examples.northlight import TEMPLATES
from worker.domain.contract import markdown
from worker.domain.model import Contract, Person
from worker.domain.time.worktime import is_working_day


class ContractFiles:
    """Fills the demo's contracts with dates and writes them to `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        loader = FileSystemLoader(TEMPLATES / "contracts")
        # no autoescape: this is Markdown, and only dates are filled in
        self._environment = Environment(loader=loader, undefined=StrictUndefined, keep_trailing_newline=True)  # noqa: S701

    def write(self, name: str, today: date, people: Sequence[Person]) -> Contract:
        """Write the contract file with dates relative to `today`, on which all `people` work; return it as parsed."""
        text = self._environment.get_template(f"{name}.md").render(
            day=lambda days: _move_to_working_day(today + timedelta(days=days), people).isoformat(),
            month=lambda months: _format_month(today, months),
        )
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._folder / f"{name}.md"
        file.write_text(text, encoding="utf-8")
        return markdown.parse_contract(file.read_text(encoding="utf-8"), file.name)


def _move_to_working_day(day: date, people: Sequence[Person]) -> date:
    """Return the day, or the last one before it on which all of them work."""
    while not all(is_working_day(person, day) for person in people):
        day -= timedelta(days=1)
    return day


def _format_month(today: date, months: int) -> str:
    year, index = divmod(today.year * 12 + today.month - 1 + months, 12)
    return f"{year}-{index + 1:02}"
