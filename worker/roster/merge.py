"""Merges the people file into the records of a directory. Cells of the people file override the directory."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from worker.providers.identities import normalize_alias
from worker.roster.base import RosterRecord
from worker.roster.columns import ParsedRecord


def merge_people_file(
    directory_records: Sequence[ParsedRecord], file_rows: Sequence[ParsedRecord], directory_name: str
) -> list[ParsedRecord]:
    """Return the records of the directory, in which the filled cells of the people file replace the values.

    A row of the people file and a record are of the same person when they have an address or the directory id in
    common. A row that matches no record has no effect. It is reported with the faults of the directory, because the row
    may have been right until somebody left the directory.
    """
    positions = {
        name: position for position, parsed in enumerate(directory_records) for name in _list_names(parsed.record)
    }
    rows_by_position: dict[int, ParsedRecord] = {}
    for row in file_rows:
        matches = {positions[name] for name in _list_names(row.record) if name in positions}
        name = next(_list_names(row.record), "")
        if not matches and directory_records:
            fault = f"`{name}` is not in {directory_name}, so this row has no effect."
            place = f"{row.problem_report.name}, {row.record.where}"
            # all records of the directory add their faults to one report
            directory_records[0].problem_report.add_fault(
                place, "email", fault, "Correct the address, or remove the row."
            )
        elif len(matches) > 1:
            fault = f"The addresses in this row belong to {len(matches)} people in {directory_name}."
            row.add_fault("aliases", fault, "Keep those of one person.")
        for position in matches:
            if position in rows_by_position:
                first_place = rows_by_position[position].record.where
                row.add_fault("email", f"`{name}` is the person in {first_place}.", "Keep one row for each person.")
            rows_by_position.setdefault(position, row)
    merged = list(directory_records)
    for position, row in rows_by_position.items():
        merged[position] = _merge_records(directory_records[position], row)
    return merged


def _merge_records(parsed: ParsedRecord, row: ParsedRecord) -> ParsedRecord:
    """Return a record of the directory in which the values of a row of the people file replace its own."""
    record = replace(
        parsed.record,
        addresses=tuple(dict.fromkeys([*parsed.record.addresses, *row.record.addresses])),
        managers=row.record.managers or parsed.record.managers,
        is_active=parsed.record.is_active and row.record.is_active,
        hire_date=row.record.hire_date or parsed.record.hire_date,
    )
    values: Mapping[str, object] = {**parsed.values, **row.values}
    return replace(
        parsed, record=record, values=dict(values), unusable_columns=parsed.unusable_columns - row.values.keys()
    )


def _list_names(record: RosterRecord) -> Iterator[str]:
    """Yield the addresses and the directory id of a person, in the form that is compared."""
    yield from (normalize_alias(address) for address in record.addresses if address)
    if record.directory_id:  # the prefix keeps an id apart from an address
        yield f"id {record.directory_id.casefold()}"
