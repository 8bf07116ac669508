"""Adds the people file to a directory: its cells go before what the directory tells."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from worker.providers.identities import normalize
from worker.roster.base import RosterRecord
from worker.roster.columns import ParsedRecord


def merge_people_file(
    directory: Sequence[ParsedRecord], file: Sequence[ParsedRecord], directory_name: str
) -> list[ParsedRecord]:
    """Return the records of the directory, with the cells of the people file in place of what the directory tells.

    A row and a record are the same person when they have an address or the directory id in common. A row of nobody has
    no effect, and is reported with the faults of the directory: people leave it without asking the file.
    """
    positions = {name: position for position, parsed in enumerate(directory) for name in _list_names(parsed.record)}
    rows_by_position: dict[int, ParsedRecord] = {}
    for row in file:
        found = {positions[name] for name in _list_names(row.record) if name in positions}
        name = next(_list_names(row.record), "")
        if not found and directory:
            what = f"`{name}` is not in {directory_name}, so this row has no effect."
            place = f"{row.report.name}, {row.record.where}"
            directory[0].report.add_problem(place, "email", what, "Correct the address, or remove the row.")
        elif len(found) > 1:
            what = f"The addresses in this row belong to {len(found)} people in {directory_name}."
            row.add_problem("aliases", what, "Keep those of one person.")
        for position in found:
            if position in rows_by_position:
                first = rows_by_position[position].record.where
                row.add_problem("email", f"`{name}` is the person in {first}.", "Keep one row for each person.")
            rows_by_position.setdefault(position, row)
    merged = list(directory)
    for position, row in rows_by_position.items():
        merged[position] = _merge_records(directory[position], row)
    return merged


def _merge_records(parsed: ParsedRecord, row: ParsedRecord) -> ParsedRecord:
    record = replace(
        parsed.record,
        addresses=tuple(dict.fromkeys([*parsed.record.addresses, *row.record.addresses])),
        managers=row.record.managers or parsed.record.managers,
        is_active=parsed.record.is_active and row.record.is_active,
        hire_date=row.record.hire_date or parsed.record.hire_date,
    )
    values: Mapping[str, object] = {**parsed.values, **row.values}
    return replace(parsed, record=record, values=dict(values), unusable=parsed.unusable - row.values.keys())


def _list_names(record: RosterRecord) -> Iterator[str]:
    """Yield the addresses and the directory id of a person, as they are compared."""
    yield from (normalize(address) for address in record.addresses if address)
    if record.directory_id:
        yield f"id {record.directory_id.casefold()}"
