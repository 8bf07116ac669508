"""The table of mails: each mail has an entry, templates, samples and a use, and no other module spells its name."""

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
#: The module with the names of mails.
NAMES_MODULE = WORKER / "domain" / "model" / "mails.py"
#: The role of each person in the samples.
READERS = {
    DANA.email: Reader.MANAGER,
    SAM.email: Reader.REPORT,
    OPERATOR.email: Reader.OPERATOR,
    PRIYA.email: Reader.THIRD,
}
START = datetime(2026, 1, 5, 6, tzinfo=UTC)
#: The number of pairs in the company that is simulated.
PAIR_COUNT = 3
#: Names of mails that are also names of something else: of states of a session, of a setting, of an action of the log.
STATE_NAMES, SETTING_NAME = {MailName.UNPLACEABLE, MailName.UNFINISHED}, MailName.PULSE
LOG_ACTION_NAME = MailName.OPERATOR_ALERT
#: Names of mails that are usual words, with which the preview of a quarter names these mails.
USUAL_WORDS = {"introduction", "invitation", "brief"}


def iter_syntax(outside_of: str = "") -> Iterator[ast.AST]:
    """Yield the syntax of the program, except the module of the names, the migrations, and the folder `outside_of`."""
    for path in WORKER.rglob("*.py"):
        within = path.relative_to(WORKER).parts
        if path != NAMES_MODULE and "versions" not in within and within[0] != outside_of:
            yield from ast.walk(ast.parse(path.read_text(encoding="utf-8")))


# --- the table is complete ---


def test_each_mail_has_one_entry() -> None:
    assert set(KINDS) == set(MailName)
    assert {name for name, kind in KINDS.items() if kind.name != name} == set()


def test_each_mail_has_a_folder_of_templates_and_each_folder_a_mail() -> None:
    emails = find_template_folder() / "emails"
    assert {path.name for path in emails.iterdir() if path.is_dir()} == set(KINDS)
    assert [f"{name}/{part}" for name in KINDS for part in PARTS if not (emails / name / part).is_file()] == []


@pytest.mark.parametrize("name", KINDS)
def test_each_mail_has_samples_for_all_its_readers(name: str) -> None:
    readers = {READERS[context.to.email] for context in list_samples() if context.name == name}
    assert readers == set(KINDS[name].readers)


def test_each_sample_has_another_key() -> None:
    keys = [context.key for context in list_samples()]
    assert len(keys) == len(set(keys))


def test_each_mail_is_used_outside_of_the_mail_package() -> None:
    """A mail that no rule, page or command uses would never be sent."""
    used = {ast.unparse(node) for node in iter_syntax(outside_of="mail") if isinstance(node, ast.Attribute)}
    assert {str(name) for name in MailName if f"MailName.{name.name}" not in used} == set()


# --- names are written once ---


def test_no_other_module_spells_the_name_of_a_mail() -> None:
    strings = {node.value for node in iter_syntax() if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    assert strings & set(MailName) <= {*STATE_NAMES, *USUAL_WORDS, SETTING_NAME, LOG_ACTION_NAME}


# --- the table agrees with the domain ---


def test_each_preparation_mail_goes_to_a_reader_of_its_templates() -> None:
    assert all(Reader(preparation.reader) in KINDS[preparation.name].readers for preparation in PREPARATIONS)


def test_each_mail_of_a_simulation_goes_to_a_reader_of_its_templates() -> None:
    """With the behaviour `hostile`, in which much goes wrong and many mails are sent."""
    persons, pairs = build_company(size=PAIR_COUNT, first_seen=START.date())
    pairs = {pair_id: replace(pair, start=START.date()) for pair_id, pair in pairs.items()}  # all meet within weeks
    ledger = io.StringIO()
    run.simulate_to_ledger(persons, pairs, START, timedelta(days=100), seed=7, behaviour="hostile", out=ledger)
    lines = map(json.loads, ledger.getvalue().splitlines())
    mails = {(line["message"], find_reader(line)) for line in lines if line["what"] == "mail"}
    assert len({name for name, _ in mails}) > 7
    assert {(name, reader) for name, reader in mails if reader not in KINDS[name].readers} == set()


def find_reader(line: dict[str, str]) -> Reader:
    """Return the reader of the mail in this line of the ledger."""
    if not line.get("pair"):  # a personal mail, or one to the operator
        persons, pairs = build_company(size=PAIR_COUNT, first_seen=START.date())
        if line["to"] not in persons:
            return Reader.OPERATOR
        return Reader.MANAGER if any(pair_id.manager == line["to"] for pair_id in pairs) else Reader.REPORT
    return Reader.MANAGER if line["pair"].startswith(f"{line['to']}>") else Reader.REPORT


# --- sealed content ---


def test_mails_with_content_open_sealed_data_and_never_go_to_the_operator() -> None:
    for kind in KINDS.values():
        if kind.has_content:
            assert kind.sealed_data & {SealedData.COMMITMENTS, SealedData.REVISIONS, SealedData.DEFERRAL_REASONS}, (
                kind.name
            )
            assert Reader.OPERATOR not in kind.readers
    assert KINDS["operator_alert"].sealed_data == frozenset()


def test_only_mails_to_the_manager_open_the_trigger_of_an_ad_hoc_session() -> None:
    """R-6: only the manager may read why somebody wants to talk."""
    assert {kind.readers for kind in KINDS.values() if SealedData.TRIGGER in kind.sealed_data} == {(Reader.MANAGER,)}


def test_each_mail_with_content_has_a_sample_by_link() -> None:
    """With `content = "link"` the mail has a link to the content, and none of it."""
    samples = [context for context in list_samples() if context.by_link]
    assert {context.name for context in samples} == {name for name, kind in KINDS.items() if kind.has_content}
    assert not any(map(_holds_content, samples))


def _holds_content(context: MailContext) -> bool:
    return bool(context.contract or context.previous or context.commitments or context.deferral_reasons)


def test_only_the_contract_summary_and_the_operator_alert_are_repeatable() -> None:
    """After an uncertain attempt these are sent again, with the same Message-ID, so that a mail program shows one."""
    assert {name for name, kind in KINDS.items() if kind.is_repeatable} == {"contract_summary", "operator_alert"}
