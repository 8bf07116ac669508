"""What mails hold and whose mailbox they leave from: what the settings say, and nothing else."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.companies import DANA, DAY, SAM, START, Office, contract, settings, texts
from worker.domain.model import Owner, PairId, SessionKind, Trigger
from worker.errors import Problems
from worker.mail.kinds import KINDS
from worker.ops.checks import run_checks
from worker.providers.memory import MemoryMailer
from worker.settings.load import load_settings

BASE = "https://longarc.corp.example"
SECRET = "Introduce Sam to the zephyrine group"
SERVICE = "longarc@corp.example"
#: The weekly mail aside, which a manager with one report does not get.
WITH_CONTENT = {name for name, kind in KINDS.items() if kind.has_content} - {"weekly"}


def lived(mail: dict[str, Any], *, anybody: bool = False) -> Office:
    """A quarter with a contract, its commitments due and done, a review, the next prompt and brief, and a talk that the
    report put off and said why."""
    given = {"from": SERVICE, "operator_by": "memory", **mail}
    office = Office(known=settings(base_url=BASE, mail=given))
    office.mailer = MemoryMailer(anybody=anybody)
    office.worker.services.use(mailers={"memory": office.mailer})
    office.tick()
    held = office.hold()
    office.worker.contracts.record(held.id, contract(office.clock(), SECRET))
    office.run(DAY)
    office.worker.actions.defer_session(office.session(SessionKind.CAREER).id, by=SAM, reason=f"{SECRET} first")
    office.run(DAY)
    office.worker.actions.request_talk(PairId(DANA, SAM), Trigger.DOUBT)
    office.run(40 * DAY)
    kept = next(c for c in office.store.queries.list_commitments(PairId(DANA, SAM)) if c.owner is Owner.MANAGER)
    office.worker.contracts.mark_done(kept.id)
    office.run(60 * DAY)
    again = office.hold()
    office.worker.contracts.record(again.id, contract(office.clock(), SECRET))
    office.run(DAY)
    office.pairs = {}  # the report has another manager, who is not here
    office.apply()
    office.run(4 * DAY)
    return office


def senders(office: Office) -> dict[str, set[str]]:
    """Who each kind of mail comes from."""
    kinds: dict[str, set[str]] = {}
    for key, mail in office.mailer.sent:
        kinds.setdefault(key.partition(":")[0], set()).add(mail["From"].addresses[0].addr_spec)
    return kinds


def test_with_links_alone_no_mail_holds_what_was_said() -> None:
    office = lived({"content": "link"})
    sent = texts(office.mails())
    assert "zephyrine" not in sent and "Draft one page" not in sent and "place in three years?" not in sent
    for name in WITH_CONTENT:
        mails = office.mails(name)
        assert mails, name
        assert all(f"{BASE}/in/" in texts([mail]) for mail in mails), name
    assert "None on record" not in sent, "what is not shown is not denied"
    office.close()


def test_in_full_the_same_mails_hold_it() -> None:
    """So that the test above looks for the right words; and nothing leaves from anybody else's mailbox."""
    office = lived({})
    for name in WITH_CONTENT:
        assert "zephyrine" in texts(office.mails(name)), name
    assert set().union(*senders(office).values()) == {SERVICE}
    office.close()


def test_prompts_and_whatever_holds_content_leave_from_the_managers_mailbox() -> None:
    """R-2: then the copy in Sent lies with one of the two."""
    office = lived({"send_as": "manager"}, anybody=True)
    found = senders(office)
    as_manager = WITH_CONTENT | {"reflection_prompt"}
    assert {name for name, who in found.items() if who == {DANA}} == as_manager
    assert all(who == {SERVICE} for name, who in found.items() if name not in as_manager)
    assert all("zephyrine" not in texts([mail]) for mail in office.mails() if DANA not in str(mail["From"]))
    assert {str(line["fields"]["from"]) for line in office.history("mail") if line["fields"]["message"] == "brief"} == {
        f"Longarc <{DANA}>"
    }
    office.close()


def test_a_mailer_that_has_one_mailbox_goes_on_with_it() -> None:
    office = Office(known=settings(mail={"from": SERVICE, "operator_by": "memory", "send_as": "manager"}))
    office.tick()
    office.hold()
    assert set().union(*senders(office).values()) == {SERVICE}
    office.close()


def test_links_without_pages_are_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "longarc.toml"
    path.write_text('[mail]\ncontent = "link"\n', encoding="utf-8")
    with pytest.raises(Problems) as raised:
        load_settings(path, {})
    (problem,) = raised.value.problems
    assert str(problem) == (
        "longarc.toml:2: mail.content: A link needs pages, but there are none. Set `base_url`, or write `full`."
    )


@pytest.mark.parametrize(
    ("content", "held"),
    [("full", "Mails contain what people need to read of"), ("link", "Mails contain only links to")],
)
def test_check_says_what_is_in_force(tmp_path: Path, content: str, held: str) -> None:
    people = f"email,name,manager,time_zone,country,calendar,mail\n{DANA},Dana,,UTC,DE,memory,memory\n"
    (tmp_path / "people.csv").write_text(people, encoding="utf-8")
    path = tmp_path / "longarc.toml"
    text = f'base_url = "{BASE}"\n[mail]\ncontent = "{content}"\nsend_as = "manager"\n'
    path.write_text(text, encoding="utf-8")
    seen = list(run_checks(path, {}, START))
    assert any(one.ok and one.statement.startswith(held) for one in seen)
    (unable,) = [one for one in seen if "mail.send_as" in one.statement]
    assert not unable.ok and "Gmail with delegation" in unable.remedy


def _get_ad_hoc_prompt(by: Owner, reason: str = "", **mail: str) -> str:
    """The report's prompt for a talk about a doubt that one of the two asked for."""
    office = Office(known=settings(base_url=BASE, mail={"from": SERVICE, "operator_by": "memory", **mail}))
    office.run(DAY)
    office.worker.actions.request_talk(PairId(DANA, SAM), Trigger.DOUBT, reason, by=by)
    office.run(8 * DAY)
    (talk,) = [one for one in office.store.queries.list_sessions() if one.adhoc]
    prompts = [mail for key, mail in office.mailer.sent if key.startswith(f"reflection_prompt:{talk.id}")]
    office.close()
    assert prompts
    return texts(prompts)


def test_r27_the_report_s_prompt_knows_no_reason_that_the_report_did_not_give() -> None:
    """R-6: of the manager's reason there is nothing; of the report's own, what to think about, not the words."""
    own, managers = (_get_ad_hoc_prompt(by, "The zephyrine offer") for by in (Owner.REPORT, Owner.MANAGER))
    assert "You asked for this talk" in own and "Where do you feel it most" in own
    assert managers and "You asked for this talk" not in managers
    for prompt in (own, managers):
        assert "zephyrine" not in prompt and "right place" not in prompt
    assert "You asked for this talk" not in _get_ad_hoc_prompt(Owner.REPORT, content="link")
