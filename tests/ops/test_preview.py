"""The preview of a quarter: its counts, its concerns, its sample mails, and the content that it does not show."""

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


def build_preview(office: Office) -> QuarterPreview:
    """Return the preview of what is planned now, with the mails of the pulse."""
    worker = office.worker
    pulse_mails = worker.pulse.list_coming_mails(office.clock() + MAIL_PERIOD)
    return build_quarter(worker.sweep.preview(), office.clock(), worker.settings.policy, pulse_mails)


def render_samples_by_name(office: Office, quarter: QuarterPreview) -> dict[tuple[str, bool], SampleMail]:
    """Return the sample mails by their name and whether the manager reads them."""
    rendered = render_samples(quarter.samples, office.settings, office.worker.mail_renderer)
    return {(sample.name, sample.is_for_manager): sample for sample in rendered}


def list_concern_kinds(quarter: QuarterPreview) -> list[ConcernKind]:
    return [concern.kind for concern in quarter.concerns]


# --- counts ---


def test_preview_counts_each_pair_once() -> None:
    """A pair has a time in the quarter (`timed`), begins later (`coming`), has no time, or takes no part (`absent`).

    Sam and Alex have a time, Kim's pair begins later, Lee works when Dana sleeps, and Noah's pair is paused.
    """
    persons = {**people(DANA, SAM, KIM, ALEX, NOAH), LEE: person(LEE, zone="Pacific/Honolulu", country="US")}
    company_pairs = pairs(
        pair(DANA, SAM, format=Format.SERIES),
        pair(DANA, KIM, start=(START + 60 * DAY).date()),
        pair(DANA, LEE),
        pair(DANA, ALEX),
        pair(SAM, NOAH, paused=True),
    )
    office = Office(persons=persons, listed_pairs=company_pairs)
    quarter = build_preview(office)
    assert (quarter.pair_count, quarter.timed_count, quarter.not_begun_count, quarter.absent_count) == (4, 2, 1, 1)
    assert quarter.later_count == 0 and list_concern_kinds(quarter) == [ConcernKind.HOURS_APART]
    (dana,) = quarter.managers
    assert (dana.manager.email, dana.report_count) == (DANA, 4)
    placed_talks = [talk for talk in dana.talks if talk.is_placed]
    assert sorted((talk.report.email, talk.part) for talk in placed_talks) == [(ALEX, 0), (SAM, 1), (SAM, 2), (SAM, 3)]
    assert [talk.report.email for talk in dana.talks if talk.is_career and not talk.is_placed] == [KIM]
    office.close()


def test_preview_of_a_company_without_pairs_says_so() -> None:
    office = Office(persons=people(DANA, SAM), listed_pairs=pairs(pair(paused=True)))
    view = QuarterView(build_preview(office), ENGLISH)
    assert view.sentences == ["There is no pair to be shown."]
    assert view.scope == ["One more pair does not take part, or is paused, and is not shown."]
    office.close()


def test_manager_has_at_most_two_first_sessions_a_week() -> None:
    """T-3a: 14 pairs that have never met take turns. A manager with many reports is also a concern."""
    persons, company_pairs = company(14, reports=14)
    office = Office(persons=persons, listed_pairs=company_pairs)
    quarter = build_preview(office)
    (manager,) = quarter.managers
    assert max(manager.count_talks(monday) for monday in quarter.mondays) == 2
    assert sum(manager.count_talks(monday) for monday in quarter.mondays) == 14
    assert list_concern_kinds(quarter) == [ConcernKind.MANY_REPORTS] and quarter.concerns[0].count == 14
    office.close()


def test_every_session_of_the_quarter_is_in_one_of_its_weeks() -> None:
    """This also holds in a time zone whose days begin earlier than those of most people."""
    persons = {**people(DANA, SAM, KIM), LEE: person(LEE, zone="Pacific/Auckland", country="NZ")}
    persons[ALEX] = person(ALEX, zone="Pacific/Auckland", country="NZ")
    company_pairs = pairs(pair(DANA, SAM), pair(DANA, KIM), pair(LEE, ALEX))
    office = Office(
        persons=persons, listed_pairs=company_pairs, at=START - 15 * HOUR
    )  # Sunday in Berlin, Monday in Auckland
    quarter = build_preview(office)
    assert quarter.zone == "Europe/Berlin" and quarter.mondays[0] == (START - 7 * DAY).date()
    assert {talk.monday for talk in quarter.talks} <= set(quarter.mondays)
    assert all(START - DAY < talk.span.start < START + QUARTER for talk in quarter.talks)
    office.close()


def test_preview_lists_the_mails_of_four_weeks_as_certain_or_expected() -> None:
    """Mails that depend on actions of people, such as the summary of a contract, are expected, but not certain."""
    office = Office(office_settings=settings(base_url="https://longarc.corp.example"))
    quarter = build_preview(office)
    is_certain = {(mail.name, mail.to.email): mail.is_certain for mail in quarter.mails}
    assert is_certain[MailName.INTRODUCTION, DANA] and is_certain[MailName.INTRODUCTION, SAM]
    assert is_certain[MailName.REFLECTION_PROMPT, SAM] and is_certain[MailName.BRIEF, DANA]
    assert is_certain[MailName.CONTRACT_REQUEST, DANA] and not is_certain[MailName.CONTRACT_SUMMARY, SAM]
    assert all(START <= mail.at < START + MAIL_PERIOD for mail in quarter.mails)
    assert quarter.count_readers(WEEK) == 2 and quarter.invitation_count == 1
    office.close()


def test_r37_preview_lists_the_mails_of_the_pulse() -> None:
    """R-37: the pulse is sent in its months, in a company with enough reports."""
    persons, company_pairs = company(6, reports=2)
    office = Office(
        persons=persons, listed_pairs=company_pairs, office_settings=settings(base_url="https://longarc.corp.example")
    )
    expected_readers = [mail.to.email for mail in build_preview(office).mails if mail.name == MailName.PULSE]
    assert sorted(expected_readers) == sorted(pair_id.report for pair_id in company_pairs)
    office.run(2 * DAY)  # in September, one of its months
    readers = [mail["To"] for mail in office.mails("pulse")]
    assert len(readers) == len(expected_readers)
    assert not [mail for mail in build_preview(office).mails if mail.name == MailName.PULSE]  # the pulse is sent once
    office.close()


# --- concerns ---


def fill_calendar(office: Office, email: str, days: int = 200) -> None:
    """Fill all working hours of a person with events."""
    for day in range(days):
        office.calendar.add(email, span(START + day * DAY, minutes=600))  # from 9:00 in Berlin


def test_preview_shows_no_appointments_of_people() -> None:
    """The pair reads which appointment would have to move. The preview, which others read, does not say so."""
    office = Office()
    fill_calendar(office, DANA)
    quarter = build_preview(office)
    (concern,) = quarter.concerns
    assert concern.kind is ConcernKind.FULL and {reason.code for reason in concern.reasons} <= SHOWN_REASONS
    (planned,) = office.worker.sweep.preview()
    assert any(reason.code == "moving" for session in planned.plan.sessions for reason in session.unplaceable or ()), (
        "the plan lacks the reason that the preview leaves out"
    )
    sample = render_samples_by_name(office, quarter)[MailName.UNPLACEABLE, True]
    for text in (sample.text, sample.html, *QuarterView(quarter, ENGLISH).concerns[0].lines):
        assert "busy" not in text and "10:00" not in text and "09:00" not in text  # hours of appointments
    office.close()


def test_unreadable_calendar_is_one_concern_for_all_its_pairs() -> None:
    office = Office(persons=people(DANA, SAM, KIM), listed_pairs=pairs(pair(DANA, SAM), pair(DANA, KIM)))
    office.worker.services.use(
        calendars={SERVICE: MemoryCalendar([SAM, KIM])}
    )  # this calendar service does not have Dana's calendar
    (concern,) = build_preview(office).concerns
    assert (concern.kind, concern.person.email, concern.count) == (ConcernKind.UNREADABLE, DANA, 2)
    office.close()


def test_unavailable_free_busy_is_not_shown_as_a_full_calendar() -> None:
    office = Office()
    office.calendar.fail = Fails(lambda: Unavailable("It is down."), "free_busy")
    quarter = build_preview(office)
    assert (
        list_concern_kinds(quarter) == [ConcernKind.NO_FREE_BUSY] and quarter.mails == () and quarter.timed_count == 0
    )
    office.close()


def test_manager_without_a_calendar_and_person_without_a_zone_are_concerns() -> None:
    persons = people(DANA, SAM, KIM)
    persons[DANA] = replace(persons[DANA], calendar="none")
    persons[KIM] = replace(persons[KIM], zone="UTC")
    office = Office(persons=persons, listed_pairs=pairs(pair(DANA, SAM), pair(SAM, KIM)))
    quarter = build_preview(office)
    assert list_concern_kinds(quarter) == [ConcernKind.NO_CALENDAR, ConcernKind.NO_ZONE]
    assert [concern.person.email for concern in quarter.concerns] == [DANA, KIM]
    office.close()


def test_each_mail_and_each_concern_has_a_text() -> None:
    assert set(MAIL_TEXTS) == set(LISTED_MAILS)
    assert set(CONCERN_TITLES) == set(REMEDIES) == set(ConcernKind)


# --- content that only the pair may read ---


def test_preview_contains_no_content_of_conversations() -> None:
    """It contains no content, no ad hoc session, and no mail that answers an action of a person."""
    office = Office(persons=people(DANA, SAM, KIM), listed_pairs=pairs(pair(DANA, SAM), pair(DANA, KIM)))
    office.tick()
    session_with_sam = next(
        session for session in office.store.queries.list_sessions(PairId(DANA, SAM)) if session.booked
    )
    office.decline(session_with_sam)
    office.run(DAY)
    session_with_kim = next(
        session for session in office.store.queries.list_sessions(PairId(DANA, KIM)) if session.booked
    )
    office.run_to(session_with_kim.span.end + HOUR)
    office.worker.contracts.record(
        session_with_kim.id, contract(office.clock(), "Introduce Kim to the saxifrage group", days=14)
    )
    office.worker.actions.request_ad_hoc_session(PairId(DANA, SAM), Trigger.DOUBT, "The tamarisk plan", by=Owner.REPORT)
    office.tick()
    ad_hoc_session = next(session for session in office.store.queries.list_sessions(PairId(DANA, SAM)) if session.adhoc)
    quarter = build_preview(office)
    assert ad_hoc_session.start and ad_hoc_session.start not in {talk.span.start for talk in quarter.talks}
    assert {mail.name for mail in quarter.mails} <= {*MailName} - {MailName.DEFERRAL_NOTICE, MailName.COMMITMENT_DUE}
    sample_texts = "\n".join(sample.text + sample.html for sample in render_samples_by_name(office, quarter).values())
    for secret in ("saxifrage", "tamarisk", "was moved", "second time", "declined"):
        assert secret not in sample_texts
    office.close()


@pytest.mark.parametrize("locale", ["en", "de"])
def test_sample_mails_are_in_the_language_of_their_reader_without_real_links(locale: str) -> None:
    """A real link would open the page of its reader. The contract of the sample summary is invented."""
    persons = {
        email: replace(sample_person, locale=locale) for email, sample_person in people(DANA, SAM, KIM, ALEX).items()
    }
    company_pairs = pairs(*(pair(DANA, report) for report in (SAM, KIM, ALEX)))
    office = Office(
        persons=persons, listed_pairs=company_pairs, office_settings=settings(base_url="https://longarc.corp.example")
    )
    samples = render_samples_by_name(office, build_preview(office))
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


def test_preview_shows_booked_and_expected_reviews() -> None:
    office = Office()
    office.tick()
    held_session = office.hold()
    office.worker.contracts.record(held_session.id, contract(office.clock()))
    office.tick()
    booked_starts = {
        session.start
        for session in office.store.queries.list_sessions()
        if session.kind is SessionKind.REVIEW and session.booked
    }
    quarter = build_preview(office)
    reviews = [talk for talk in quarter.talks if not talk.is_career]
    assert booked_starts and {talk.span.start for talk in reviews if talk.is_placed} == booked_starts
    assert timedelta() < min(talk.span.start for talk in reviews) - office.clock()
    office.close()


def test_concern_about_hours_apart_shows_the_working_hours() -> None:
    persons = people(DANA, SAM)
    persons[DANA] = replace(persons[DANA], hours=parse_hours("Mon-Tue 09:00-17:00"))
    persons[SAM] = replace(persons[SAM], hours=parse_hours("Wed-Fri 09:00-17:00"))
    office = Office(persons=persons)
    (group,) = QuarterView(build_preview(office), ENGLISH).concerns
    assert group.lines == ["Dana (Mon-Tue 09:00-17:00 in Berlin) and Sam (Wed-Fri 09:00-17:00 in Berlin)"]
    office.close()
