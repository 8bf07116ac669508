"""The settings decide which mails hold content and from which mailbox they are sent."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.companies import BASE_URL, DANA, DAY, SAM, START, Office, contract, settings, texts
from tests.support.settings_file import load_settings_text
from worker.domain.model import Owner, PairId, SessionKind, Trigger
from worker.errors import Problems
from worker.mail.kinds import KINDS
from worker.ops.checks import run_checks
from worker.providers.memory import MemoryMailer

#: A promise whose word "zephyrine" is in no other text.
SECRET = "Introduce Sam to the zephyrine group"
#: The address from which Longarc sends mails.
SENDER = "longarc@corp.example"
#: The names of mails with content, without the weekly mail, which a manager with one report does not get.
WITH_CONTENT = {name for name, kind in KINDS.items() if kind.has_content} - {"weekly"}


def run_company(mail: dict[str, Any], *, anybody: bool = False) -> Office:
    """Run a company for about half a year, in which each kind of mail with content is sent; return it.

    `mail`: settings of that section. `anybody`: whether the mail service sends from everybody's mailbox.

    There are two contracts, commitments that come due, one of which is done, a review, a deferral with the report's
    reason, an ad hoc session, and the end of the pair.
    """
    mail_settings = {"from": SENDER, "operator_by": "memory", **mail}
    office = Office(office_settings=settings(base_url=BASE_URL, mail=mail_settings))
    office.mailer = MemoryMailer(anybody=anybody)
    office.worker.services.use(mailers={"memory": office.mailer})
    office.tick()
    first = office.hold()
    office.worker.contracts.record(first.id, contract(office.clock(), SECRET))
    office.run(DAY)
    office.worker.actions.request_another_time(office.session(SessionKind.CAREER).id, by=SAM, reason=f"{SECRET} first")
    office.run(DAY)
    office.worker.actions.request_ad_hoc_session(PairId(DANA, SAM), Trigger.DOUBT)
    office.run(40 * DAY)
    promise = next(c for c in office.store.queries.list_commitments(PairId(DANA, SAM)) if c.owner is Owner.MANAGER)
    office.worker.contracts.mark_done(promise.id)
    office.run(60 * DAY)
    second = office.hold()
    office.worker.contracts.record(second.id, contract(office.clock(), SECRET))
    office.run(DAY)
    office.pairs = {}  # the pair has ended
    office.apply()
    office.run(4 * DAY)
    return office


def find_senders(office: Office) -> dict[str, set[str]]:
    """Return the senders of each kind of mail."""
    senders: dict[str, set[str]] = {}
    for key, mail in office.mailer.sent:
        senders.setdefault(key.partition(":")[0], set()).add(mail["From"].addresses[0].addr_spec)
    return senders


def test_mails_by_link_hold_no_content() -> None:
    office = run_company({"content": "link"})
    text = texts(office.mails())
    assert (
        "zephyrine" not in text and "Draft one page" not in text and "place in three years?" not in text
    )  # as in `companies.contract`
    for name in WITH_CONTENT:
        mails = office.mails(name)
        assert mails, name
        assert all(f"{BASE_URL}/in/" in texts([mail]) for mail in mails), name
    assert "None on record" not in text, "a mail claims that there is nothing"
    office.close()


def test_mails_in_full_hold_content_and_come_from_longarc() -> None:
    """This proves that the test above looks for the right words."""
    office = run_company({})
    for name in WITH_CONTENT:
        assert "zephyrine" in texts(office.mails(name)), name
    assert set().union(*find_senders(office).values()) == {SENDER}
    office.close()


def test_r2_send_as_manager_uses_the_managers_mailbox_for_prompts_and_content() -> None:
    """R-2: then the copy in the folder Sent belongs to one of the two people."""
    office = run_company({"send_as": "manager"}, anybody=True)
    senders = find_senders(office)
    as_manager = WITH_CONTENT | {"reflection_prompt"}
    assert {name for name, addresses in senders.items() if addresses == {DANA}} == as_manager
    assert all(addresses == {SENDER} for name, addresses in senders.items() if name not in as_manager)
    assert all("zephyrine" not in texts([mail]) for mail in office.mails() if DANA not in str(mail["From"]))
    assert {str(line["fields"]["from"]) for line in office.history("mail") if line["fields"]["message"] == "brief"} == {
        f"Longarc <{DANA}>"
    }
    office.close()


def test_send_as_manager_has_no_effect_with_a_mailer_of_one_mailbox() -> None:
    office = Office(office_settings=settings(mail={"from": SENDER, "operator_by": "memory", "send_as": "manager"}))
    office.tick()
    office.hold()
    assert set().union(*find_senders(office).values()) == {SENDER}
    office.close()


def test_mails_by_link_without_pages_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Problems) as error_info:
        load_settings_text(tmp_path, '[mail]\ncontent = "link"\n')
    (problem,) = error_info.value.problems
    assert str(problem) == (
        "longarc.toml:2: mail.content: A link needs pages, but there are none. Set `base_url`, or write `full`."
    )


@pytest.mark.parametrize(
    ("content", "statement"),
    [("full", "Mails contain what people need to read of"), ("link", "Mails contain only links to")],
)
def test_check_reports_the_settings_of_mail_content_and_sender(tmp_path: Path, content: str, statement: str) -> None:
    people = f"email,name,manager,time_zone,country,calendar,mail\n{DANA},Dana,,UTC,DE,memory,memory\n"
    report = f"{SAM},Sam,{DANA},UTC,DE,memory,maildir\n"  # no mail is sent from a report's mailbox
    (tmp_path / "people.csv").write_text(people + report, encoding="utf-8")
    path = tmp_path / "longarc.toml"
    text = f'base_url = "{BASE_URL}"\n[mail]\ncontent = "{content}"\nsend_as = "manager"\n'
    path.write_text(text, encoding="utf-8")
    findings = list(run_checks(path, {}, START))
    assert any(finding.ok and finding.statement.startswith(statement) for finding in findings)
    (send_as,) = [finding for finding in findings if "mail.send_as" in finding.statement]
    assert not send_as.ok and "Gmail with delegation" in send_as.remedy and f"{DANA}'s" in send_as.statement


def _get_ad_hoc_prompt(by: Owner, reason: str = "", **mail: str) -> str:
    """Return the report's prompt before an ad hoc session that this person asked for because of a doubt."""
    office = Office(office_settings=settings(base_url=BASE_URL, mail={"from": SENDER, "operator_by": "memory", **mail}))
    office.run(DAY)
    office.worker.actions.request_ad_hoc_session(PairId(DANA, SAM), Trigger.DOUBT, reason, by=by)
    office.run(8 * DAY)
    (session,) = [session for session in office.store.queries.list_sessions() if session.adhoc]
    prompts = [mail for key, mail in office.mailer.sent if key.startswith(f"reflection_prompt:{session.id}")]
    office.close()
    assert prompts
    return texts(prompts)


def test_r27_the_prompt_depends_on_reasons_of_the_report_alone() -> None:
    """R-27, R-6: the manager's reason is left out; the report's own chooses the questions, but is not quoted."""
    by_report, by_manager = (_get_ad_hoc_prompt(by, "The zephyrine offer") for by in (Owner.REPORT, Owner.MANAGER))
    assert "You asked for this talk" in by_report and "Where do you feel it most" in by_report
    assert by_manager and "You asked for this talk" not in by_manager
    for prompt in (by_report, by_manager):
        assert "zephyrine" not in prompt and "right place" not in prompt
    assert "You asked for this talk" not in _get_ad_hoc_prompt(Owner.REPORT, content="link")
