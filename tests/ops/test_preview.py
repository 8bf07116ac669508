"""The preview of a quarter: what it counts, what it shows of a company, and what it keeps for the two."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support.companies import (
    DANA,
    DAY,
    HOUR,
    KIM,
    SAM,
    SERVICE,
    START,
    WEEK,
    Fails,
    Office,
    company,
    contract,
    pair,
    pairs,
    people,
    person,
    settings,
    span,
)
from worker.domain.model import Format, MailName, Owner, PairId, SessionKind, Trigger
from worker.domain.time.worktime import parse_hours
from worker.errors import Unavailable
from worker.i18n.language import Language
from worker.mail.templates import load_default_templates
from worker.ops.preview.concerns import SHOWN_REASONS, ConcernKind
from worker.ops.preview.quarter import LISTED_MAILS, MAIL_PERIOD, QUARTER, QuarterPreview, build_quarter
from worker.ops.preview.sample_mails import SampleMail, render_samples
from worker.ops.preview.texts import CONCERN_TITLES, MAIL_TEXTS, REMEDIES
from worker.ops.preview.view import QuarterView
from worker.providers.memory import MemoryCalendar

LEE, ALEX, NOAH = (f"{name}@corp.example" for name in ("lee", "alex", "noah"))
ENGLISH: Language = load_default_templates().languages.find_language("en")


def preview(office: Office) -> QuarterPreview:
    worker = office.worker
    more_mails = worker.pulse.list_coming_mails(office.clock() + MAIL_PERIOD)
    return build_quarter(worker.sweep.preview(), office.clock(), worker.settings.policy, more_mails)


def samples_of(office: Office, quarter: QuarterPreview) -> dict[tuple[str, bool], SampleMail]:
    rendered = render_samples(quarter.samples, office.settings, office.worker.mail_renderer)
    return {(sample.name, sample.is_for_manager): sample for sample in rendered}


def kinds(quarter: QuarterPreview) -> list[ConcernKind]:
    return [concern.kind for concern in quarter.concerns]


# --- what it counts ---


def test_it_counts_each_pair_once() -> None:
    """A time in the quarter, a start that lies ahead, no time, or no part."""
    persons = {**people(DANA, SAM, KIM, ALEX, NOAH), LEE: person(LEE, zone="Pacific/Honolulu", country="US")}
    listed = pairs(
        pair(DANA, SAM, format=Format.SERIES),
        pair(DANA, KIM, start=(START + 60 * DAY).date()),
        pair(DANA, LEE),
        pair(DANA, ALEX),
        pair(SAM, NOAH, paused=True),
    )
    office = Office(persons=persons, listed=listed)
    quarter = preview(office)
    assert (quarter.pair_count, quarter.timed_count, quarter.coming_count, quarter.absent_count) == (4, 2, 1, 1)
    assert quarter.later_count == 0 and kinds(quarter) == [ConcernKind.HOURS_APART]
    (dana,) = quarter.managers
    assert (dana.manager.email, dana.report_count) == (DANA, 4)
    placed = [talk for talk in dana.talks if talk.is_placed]
    assert sorted((talk.report.email, talk.part) for talk in placed) == [(ALEX, 0), (SAM, 1), (SAM, 2), (SAM, 3)]
    assert [talk.report.email for talk in dana.talks if talk.is_career and not talk.is_placed] == [KIM]
    office.close()


def test_a_company_without_pairs_is_told_so() -> None:
    office = Office(persons=people(DANA, SAM), listed=pairs(pair(paused=True)))
    view = QuarterView(preview(office), ENGLISH)
    assert view.sentences == ["There is no pair to be shown."]
    assert view.scope == ["One more pair does not take part, or is paused, and is not shown."]
    office.close()


def test_no_manager_has_more_than_two_first_conversations_a_week() -> None:
    """T-3a; and a manager of many is named."""
    persons, listed = company(14, reports=14)
    office = Office(persons=persons, listed=listed)
    quarter = preview(office)
    (manager,) = quarter.managers
    assert max(manager.count_talks(monday) for monday in quarter.mondays) == 2
    assert sum(manager.count_talks(monday) for monday in quarter.mondays) == 14
    assert kinds(quarter) == [ConcernKind.MANY_REPORTS] and quarter.concerns[0].count == 14
    office.close()


def test_everything_of_the_quarter_lies_in_one_of_its_weeks() -> None:
    """Also where the day begins earlier than for most."""
    persons = {**people(DANA, SAM, KIM), LEE: person(LEE, zone="Pacific/Auckland", country="NZ")}
    persons[ALEX] = person(ALEX, zone="Pacific/Auckland", country="NZ")
    listed = pairs(pair(DANA, SAM), pair(DANA, KIM), pair(LEE, ALEX))
    office = Office(persons=persons, listed=listed, at=START - 15 * HOUR)  # Sunday in Berlin, Monday in Auckland
    quarter = preview(office)
    assert quarter.zone == "Europe/Berlin" and quarter.mondays[0] == (START - 7 * DAY).date()
    assert {talk.monday for talk in quarter.talks} <= set(quarter.mondays)
    assert all(START - DAY < talk.span.start < START + QUARTER for talk in quarter.talks)
    office.close()


def test_it_names_the_mails_of_four_weeks_and_which_of_them_are_certain() -> None:
    """What follows from what people do, such as the summary of a conversation, is expected."""
    office = Office(known=settings(base_url="https://longarc.corp.example"))
    quarter = preview(office)
    told = {(mail.name, mail.to.email): mail.is_certain for mail in quarter.mails}
    assert told[MailName.INTRODUCTION, DANA] and told[MailName.INTRODUCTION, SAM]
    assert told[MailName.REFLECTION_PROMPT, SAM] and told[MailName.BRIEF, DANA]
    assert told[MailName.CONTRACT_REQUEST, DANA] and not told[MailName.CONTRACT_SUMMARY, SAM]
    assert all(START <= mail.at < START + MAIL_PERIOD for mail in quarter.mails)
    assert quarter.count_readers(WEEK) == 2 and quarter.invitation_count == 1
    office.close()


def test_the_question_to_everybody_is_among_the_mails() -> None:
    """R-37: in the months of the pulse, where there are enough to ask."""
    persons, listed = company(6, reports=2)
    office = Office(persons=persons, listed=listed, known=settings(base_url="https://longarc.corp.example"))
    asked = [mail.to.email for mail in preview(office).mails if mail.name == MailName.PULSE]
    assert sorted(asked) == sorted(pair_id.report for pair_id in listed)
    office.run(2 * DAY)
    sent = [mail["To"] for mail in office.mails("pulse")]
    assert len(sent) == len(asked)
    assert not [mail for mail in preview(office).mails if mail.name == MailName.PULSE], "once"
    office.close()


# --- what stands in the way ---


def fill(office: Office, who: str, days: int = 200) -> None:
    """Leave no hour of somebody's days."""
    for day in range(days):
        office.calendar.add(who, span(START + day * DAY, minutes=600))


def test_reasons_tell_of_no_appointment() -> None:
    """The two are told what would have to move; HR is not."""
    office = Office()
    fill(office, DANA)
    quarter = preview(office)
    (concern,) = quarter.concerns
    assert concern.kind is ConcernKind.FULL and {reason.code for reason in concern.reasons} <= SHOWN_REASONS
    (planned,) = office.worker.sweep.preview()
    assert any(reason.code == "moving" for s in planned.plan.sessions for reason in s.unplaceable or ()), "it is known"
    sample = samples_of(office, quarter)[MailName.UNPLACEABLE, True]
    for words in (sample.text, sample.html, *QuarterView(quarter, ENGLISH).concerns[0].lines):
        assert "busy" not in words and "10:00" not in words and "09:00" not in words
    office.close()


def test_a_calendar_that_cant_be_read_is_named_once_for_all_its_pairs() -> None:
    office = Office(persons=people(DANA, SAM, KIM), listed=pairs(pair(DANA, SAM), pair(DANA, KIM)))
    office.worker.services.use(calendars={SERVICE: MemoryCalendar([SAM, KIM])})  # which knows nothing of Dana
    (concern,) = preview(office).concerns
    assert (concern.kind, concern.person.email, concern.count) == (ConcernKind.UNREADABLE, DANA, 2)
    office.close()


def test_calendars_that_do_not_answer_are_no_full_ones() -> None:
    office = Office()
    office.calendar.fail = Fails(lambda: Unavailable("It is down."), "free_busy")
    quarter = preview(office)
    assert kinds(quarter) == [ConcernKind.NO_FREE_BUSY] and quarter.mails == () and quarter.timed_count == 0
    office.close()


def test_a_manager_without_a_calendar_and_an_unknown_zone_are_named() -> None:
    persons = people(DANA, SAM, KIM)
    persons[DANA] = replace(persons[DANA], calendar="none")
    persons[KIM] = replace(persons[KIM], zone="UTC")
    office = Office(persons=persons, listed=pairs(pair(DANA, SAM), pair(SAM, KIM)))
    quarter = preview(office)
    assert kinds(quarter) == [ConcernKind.NO_CALENDAR, ConcernKind.NO_ZONE]
    assert [concern.person.email for concern in quarter.concerns] == [DANA, KIM]
    office.close()


def test_each_mail_and_each_concern_has_its_words() -> None:
    assert set(MAIL_TEXTS) == set(LISTED_MAILS)
    assert set(CONCERN_TITLES) == set(REMEDIES) == set(ConcernKind)


# --- what is for the two alone ---


def test_the_preview_of_a_company_in_use_tells_nothing_of_its_conversations() -> None:
    """No word, no conversation that somebody asked for, and no mail that answers what people did."""
    office = Office(persons=people(DANA, SAM, KIM), listed=pairs(pair(DANA, SAM), pair(DANA, KIM)))
    office.tick()
    sam = next(s for s in office.store.queries.list_sessions(PairId(DANA, SAM)) if s.booked)
    office.decline(sam)
    office.run(DAY)
    kim = next(s for s in office.store.queries.list_sessions(PairId(DANA, KIM)) if s.booked)
    office.run_to(kim.span.end + HOUR)
    office.worker.contracts.record(kim.id, contract(office.clock(), "Introduce Kim to the saxifrage group", days=14))
    office.worker.actions.request_talk(PairId(DANA, SAM), Trigger.DOUBT, "The tamarisk plan", by=Owner.REPORT)
    office.tick()
    adhoc = next(s for s in office.store.queries.list_sessions(PairId(DANA, SAM)) if s.adhoc)
    quarter = preview(office)
    assert adhoc.start and adhoc.start not in {talk.span.start for talk in quarter.talks}
    assert {mail.name for mail in quarter.mails} <= {*MailName} - {MailName.DEFERRAL_NOTICE, MailName.COMMITMENT_DUE}
    told = "\n".join(sample.text + sample.html for sample in samples_of(office, quarter).values())
    for secret in ("saxifrage", "tamarisk", "was moved", "second time", "declined"):
        assert secret not in told
    office.close()


@pytest.mark.parametrize("locale", ["en", "de"])
def test_mails_are_shown_in_their_readers_language_with_links_that_lead_nowhere(locale: str) -> None:
    """A real link would open the page of its reader. The contract of the summary is made up, in that language too."""
    persons = {who: replace(one, locale=locale) for who, one in people(DANA, SAM, KIM, ALEX).items()}
    listed = pairs(*(pair(DANA, report) for report in (SAM, KIM, ALEX)))
    office = Office(persons=persons, listed=listed, known=settings(base_url="https://longarc.corp.example"))
    samples = samples_of(office, preview(office))
    assert {name for name, _ in samples} >= {
        MailName.INTRODUCTION,
        MailName.REFLECTION_PROMPT,
        MailName.BRIEF,
        MailName.CONTRACT_REQUEST,
        MailName.CONTRACT_SUMMARY,
    }
    for sample in samples.values():
        assert sample.language.tag == locale
        assert all(part.startswith("…") for part in sample.html.split("/in/")[1:])
    summary = samples[MailName.CONTRACT_SUMMARY, False]
    assert summary.is_made_up and ("drei Jahren" in summary.text) == (locale == "de")
    assert "/in/…" in samples[MailName.INTRODUCTION, True].text
    office.close()


def test_it_shows_the_reviews_that_are_booked_and_those_to_be_expected() -> None:
    office = Office()
    office.tick()
    held = office.hold()
    office.worker.contracts.record(held.id, contract(office.clock()))
    office.tick()
    booked = {s.start for s in office.store.queries.list_sessions() if s.kind is SessionKind.REVIEW and s.booked}
    quarter = preview(office)
    reviews = [talk for talk in quarter.talks if not talk.is_career]
    assert booked and {talk.span.start for talk in reviews if talk.is_placed} == booked
    assert timedelta() < min(talk.span.start for talk in reviews) - office.clock()
    office.close()


def test_hours_apart_are_told_with_the_hours() -> None:
    persons = people(DANA, SAM)
    persons[DANA] = replace(persons[DANA], hours=parse_hours("Mon-Tue 09:00-17:00"))
    persons[SAM] = replace(persons[SAM], hours=parse_hours("Wed-Fri 09:00-17:00"))
    office = Office(persons=persons)
    (group,) = QuarterView(preview(office), ENGLISH).concerns
    assert group.lines == ["Dana (Mon-Tue 09:00-17:00 in Berlin) and Sam (Wed-Fri 09:00-17:00 in Berlin)"]
    office.close()
