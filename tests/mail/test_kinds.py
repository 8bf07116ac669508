"""The table of mails is whole: each mail has an entry, templates and samples, and nothing is said a second time."""

import ast
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bench.company import build_company
from tests.support import ROOT
from worker.domain.model import MailName
from worker.domain.planning.preparations import PREPARATIONS
from worker.mail.context import MailContext, Reader
from worker.mail.kinds import KINDS, SealedData, list_samples
from worker.mail.samples import DANA, OPERATOR, PRIYA, SAM
from worker.mail.templates import PARTS, find_template_folder
from worker.simulation import run

WORKER = ROOT / "worker"
MAILS = WORKER / "domain" / "model" / "mails.py"
READERS = {
    DANA.email: Reader.MANAGER,
    SAM.email: Reader.REPORT,
    OPERATOR.email: Reader.OPERATOR,
    PRIYA.email: Reader.THIRD,
}
START = datetime(2026, 1, 5, 6, tzinfo=UTC)
#: What is no mail's name alone: two states of a session are called so too, a setting with its pages, and an entry of
#: the log.
ALSO_STATES, ALSO_A_SETTING = {MailName.UNPLACEABLE, MailName.UNFINISHED}, MailName.PULSE
ALSO_LOGGED = MailName.OPERATOR_ALERT
#: Words of the language too, by which the preview of a quarter calls them.
ALSO_WORDS = {"introduction", "invitation", "brief"}


def syntax(outside_of: str = "") -> Iterator[ast.AST]:
    """All of the program but the names themselves, what migrates old databases, and that folder."""
    for path in WORKER.rglob("*.py"):
        within = path.relative_to(WORKER).parts
        if path != MAILS and "versions" not in within and within[0] != outside_of:
            yield from ast.walk(ast.parse(path.read_text(encoding="utf-8")))


# --- whole ---


def test_each_mail_has_one_entry() -> None:
    assert set(KINDS) == set(MailName)
    assert {name for name, kind in KINDS.items() if kind.name != name} == set()


def test_each_mail_has_a_folder_of_templates_and_each_folder_a_mail() -> None:
    emails = find_template_folder() / "emails"
    assert {path.name for path in emails.iterdir() if path.is_dir()} == set(KINDS)
    assert [f"{name}/{part}" for name in KINDS for part in PARTS if not (emails / name / part).is_file()] == []


@pytest.mark.parametrize("name", KINDS)
def test_each_mail_has_samples_for_each_of_its_readers(name: str) -> None:
    shown = {READERS[letter.to.email] for letter in list_samples() if letter.name == name}
    assert shown == set(KINDS[name].readers)


def test_samples_have_keys_of_their_own() -> None:
    keys = [letter.key for letter in list_samples()]
    assert len(keys) == len(set(keys))


def test_each_mail_is_sent_by_somebody() -> None:
    """A name that no rule, page or command uses would be an entry for nothing."""
    used = {ast.unparse(node) for node in syntax(outside_of="mail") if isinstance(node, ast.Attribute)}
    assert {str(name) for name in MailName if f"MailName.{name.name}" not in used} == set()


# --- nothing is said twice ---


def test_nobody_else_spells_the_name_of_a_mail() -> None:
    spelled = {node.value for node in syntax() if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    assert spelled & set(MailName) <= {*ALSO_STATES, *ALSO_WORDS, ALSO_A_SETTING, ALSO_LOGGED}


# --- the domain and the table agree ---


def test_what_prepares_a_session_is_written_for_its_reader() -> None:
    assert all(Reader(one.reader) in KINDS[one.name].readers for one in PREPARATIONS)


def test_whatever_is_decided_goes_to_one_whom_its_templates_address() -> None:
    """In a company where much goes wrong, each mail reaches a reader that the table names."""
    persons, pairs = build_company(3, START.date())
    pairs = {pair_id: replace(one, start=START.date()) for pair_id, one in pairs.items()}  # all meet within weeks
    ledger = io.StringIO()
    run.simulate_to_ledger(persons, pairs, START, timedelta(days=100), seed=7, behaviour="hostile", out=ledger)
    lines = map(json.loads, ledger.getvalue().splitlines())
    sent = {(one["message"], reader(one)) for one in lines if one["what"] == "mail"}
    assert len({name for name, _ in sent}) > 7
    assert {(name, to) for name, to in sent if to not in KINDS[name].readers} == set()


def reader(line: dict[str, str]) -> Reader:
    if not line.get("pair"):
        persons, pairs = build_company(3, START.date())
        if line["to"] not in persons:
            return Reader.OPERATOR
        return Reader.MANAGER if any(one.manager == line["to"] for one in pairs) else Reader.REPORT
    return Reader.MANAGER if line["pair"].startswith(f"{line['to']}>") else Reader.REPORT


# --- what is sealed ---


def test_what_shows_content_has_it_opened_and_the_operator_reads_none() -> None:
    for kind in KINDS.values():
        if kind.has_content:
            assert kind.sealed_data & {SealedData.COMMITMENTS, SealedData.REVISIONS, SealedData.DEFERRAL_REASONS}, (
                kind.name
            )
            assert Reader.OPERATOR not in kind.readers
    assert KINDS["operator_alert"].sealed_data == frozenset()


def test_only_the_manager_reads_why_somebody_asked_to_talk() -> None:
    """R-6"""
    assert {kind.readers for kind in KINDS.values() if SealedData.TRIGGER in kind.sealed_data} == {(Reader.MANAGER,)}


def test_each_mail_with_content_is_shown_without_it_too() -> None:
    """With `content = "link"` it says where to read, and nothing of what was said."""
    linked = [letter for letter in list_samples() if letter.by_link]
    assert {letter.name for letter in linked} == {name for name, kind in KINDS.items() if kind.has_content}
    assert not any(map(_holds_content, linked))


def _holds_content(letter: MailContext) -> bool:
    return bool(letter.contract or letter.previous or letter.commitments or letter.deferral_reasons)


def test_better_twice_than_never_are_the_contract_and_what_the_operator_must_know() -> None:
    """With the Message-ID of the first, so that a mail program shows one."""
    assert {name for name, kind in KINDS.items() if kind.is_repeatable} == {"contract_summary", "operator_alert"}
