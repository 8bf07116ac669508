"""Contract files, written and read the way a manager writes and the program reads them."""

from datetime import date, timedelta
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from examples.northlight import TEMPLATES
from worker.domain.contract import markdown
from worker.domain.model import Contract


class ContractFiles:
    """Fills the demo's contracts with dates and keeps them as files in `place`."""

    def __init__(self, place: Path) -> None:
        self._place = place
        loader = FileSystemLoader(TEMPLATES / "contracts")
        # Markdown: what is filled in are dates.
        self._texts = Environment(loader=loader, undefined=StrictUndefined, keep_trailing_newline=True)  # noqa: S701

    def write(self, name: str, today: date) -> Contract:
        """Write the file as on that day, and read it back."""
        text = self._texts.get_template(f"{name}.md").render(
            day=lambda days: _move_to_weekday(today + timedelta(days=days)).isoformat(),
            month=lambda months: _format_month(today, months),
        )
        self._place.mkdir(parents=True, exist_ok=True)
        file = self._place / f"{name}.md"
        file.write_text(text, encoding="utf-8")
        return markdown.parse_contract(file.read_text(encoding="utf-8"), file.name)


def _move_to_weekday(day: date) -> date:
    """That day, or the Friday before when it lies on a weekend."""
    return day - timedelta(days=max(day.weekday() - 4, 0))


def _format_month(today: date, months: int) -> str:
    year, index = divmod(today.year * 12 + today.month - 1 + months, 12)
    return f"{year}-{index + 1:02}"
