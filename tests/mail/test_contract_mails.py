"""The mails about a contract: the request, the reminders, and the summary (R-14 to R-18)."""

from dataclasses import replace
from datetime import timedelta

from tests.support.read_mails import TO_MANAGER, TO_REPORT, Mail, render
from worker.domain.contract.markdown import parse_contract
from worker.domain.model import (
    Contract,
    WrittenCommitment,
)
from worker.mail.samples import (
    CONTRACT,
    DANA,
    NOW,
    PREVIOUS_CONTRACT,
    SAM,
    SESSION,
)


def test_the_request_holds_a_template_that_parses_once_it_is_filled_in() -> None:
    """R-14, R-16: the template has the four parts of a contract, and the mail names the command that records it."""
    mail = render(replace(TO_MANAGER, name="contract_request", deadline=NOW + timedelta(days=2)))
    start, end = mail.text.index("## Their commitments"), mail.text.index("Then record the file")
    # each `…` is a place to be filled in; the dates are there already
    contract = parse_contract(mail.text[start:end].replace("…", "introduce Sam to Priya"), "contract.md")
    assert len(contract.report) == len(contract.manager) == len(contract.reviews) == 1
    assert contract.question == "introduce Sam to Priya"
    assert mail.says("## Their commitments")
    assert mail.says(f"longarc contract record {SESSION.id} contract.md")
    assert mail.says("the outcome is not mine")


def test_contract_reminders_become_firmer_without_blame() -> None:
    """R-15, T-7: each of the five mails has another text; the last three leave after the deadline, and say so."""
    context = replace(TO_MANAGER, name="contract_reminder", deadline=NOW + timedelta(days=2))
    mails = [render(replace(context, reminder=number)) for number in range(1, 6)]
    assert len({mail.text for mail in mails}) == 5
    assert mails[0].says("There is still time.")
    assert mails[1].says("the 48 hours are over soon")
    assert all("Late" not in mail.headers["Subject"] for mail in mails[:2])
    assert all("Late" in mail.headers["Subject"] for mail in mails[2:])
    assert mails[4].says("counts as unfinished")
    assert all(mail.omits(word) for mail in mails for word in ("fail", "must", "you should have", "overdue"))


def render_summary(**fields: object) -> Mail:
    return render(replace(TO_REPORT, name="contract_summary", **fields))  # type: ignore[arg-type]


def test_the_summary_begins_with_progress_and_has_the_four_parts() -> None:
    """R-14, R-24: progress comes before the commitments of both, the reviews and the open question."""
    mail = render_summary()
    order = (
        "Progress worth naming",
        "What I’ll do",
        "What you’ll do",
        "What we will review",
        "The question we are both sitting with",
    )
    places = [mail.text.index(words) for words in order]
    assert places == sorted(places)
    assert mail.says(CONTRACT.question)
    assert mail.says(CONTRACT.progress[0])


def test_the_manager_gets_the_summary_that_the_report_received() -> None:
    """R-14, R-23: word for word, below a line that says so. Both people are in one time zone here."""
    report = replace(SAM, zone=DANA.zone)
    to_report = render_summary(report=report, to=report)
    to_manager = render_summary(report=report, to=DANA)
    assert to_manager.text == f"Sam received this:\n\n{to_report.text}"
    assert to_manager.html_text.split() == ["Sam", "received", "this:", *to_report.html_text.split()]


def test_the_summary_flags_commitments_due_within_seven_days() -> None:
    """R-21: a commitment due in seven days is flagged, one due in eight days is not."""
    due = NOW.date() + timedelta(days=7)  # November 10
    soon, later = (WrittenCommitment(text="call", due=day) for day in (due, due + timedelta(days=1)))
    assert render_summary(contract=Contract(manager=(soon,))).says("by Tuesday, November 10: within the week")
    assert render_summary(contract=Contract(manager=(later,))).omits("within the week")


def test_the_summary_shows_support_and_success_of_a_commitment() -> None:
    """R-26: the summary names who supports a commitment and what it looks like when it is done well."""
    mail = render_summary()
    assert mail.says("with the support of: Priya")
    assert mail.says("done well means: the two have a coffee without Dana in the room")


def test_the_summary_of_a_revision_lists_the_changes() -> None:
    """R-14: both read what was moved, added and left out."""
    mail = render_summary(revision=2, previous=PREVIOUS_CONTRACT)
    assert mail.headers["Subject"] == "What we agreed, version 2"
    assert mail.says("Moved from Friday, November 27 to Friday, December 11: sketch the migration plan on two pages")
    assert mail.says("New for Dana: propose Sam as lead of the billing migration")
    assert mail.says("No longer for Dana: speak with Jordan")
    assert mail.says("What we will review has changed.")
    assert mail.says("The open question is another one.")


def test_the_summary_of_an_equal_revision_says_only_the_wording() -> None:
    """In place of a list of changes it says that only the wording has changed."""
    assert render_summary(revision=2, previous=CONTRACT).says("Only the wording.")
