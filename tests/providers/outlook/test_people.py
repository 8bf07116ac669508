"""How people are recognized in Microsoft 365. The service may name a person by another address than the invited one,
by an X500 string or by a bare name. It reaches a mailbox by the sign-in name, which may differ from the address."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest

from tests.doubles.graph import Double, Hands, make_section
from tests.doubles.graph.state import Item

# `span(5, 9)` is the hour from 9:00 UTC on 5 March 2027.
from tests.support.drafts import UNUSED_KEY, WINDOW, draft, letter, span
from tests.support.provider_contract import CalendarContract
from worker.domain.model import Address, Answer, Span
from worker.errors import NotFound
from worker.providers.identities import InMemoryIdentities
from worker.providers.outlook import calendar as outlook
from worker.providers.outlook.calendar import OutlookCalendar

#: The forms in which the service may name a person.
NAME_FORMS = (
    "{name}.example@corp.example.org",
    "/o=ExchangeLabs/ou=Exchange Administrative Group/cn={name}",
    "{name} Example",
)


class RenamingHands(Hands):
    """Adds people whom the service names by another form than their address, each form in turn.

    The sign-in name of each person differs from the address, too.
    """

    def __init__(self, double: Double, identities: InMemoryIdentities) -> None:
        super().__init__(double)
        self._identities = identities

    def person(self, zone: str = "UTC") -> Address:
        address = super().person(zone)
        mailbox = self.world.mailboxes[address]
        name = address.partition("@")[0]
        mailbox.shown = NAME_FORMS[len(self.world.mailboxes) % len(NAME_FORMS)].format(name=name)
        mailbox.sign_in = f"{name}.signs.in@corp.example.org"
        self._identities.learn(address, mailbox.sign_in)
        return address

    def invite(self, organizer: Address, guest: Address, span: Span, answer: Answer) -> str:
        """Add a meeting of two people whose other names an earlier event of ours has shown."""
        for person in (organizer, guest):
            self._identities.learn(person, self.world.mailboxes[person].shown)
        return super().invite(organizer, guest, span, answer)


@pytest.fixture
def identities() -> InMemoryIdentities:
    return InMemoryIdentities()


@pytest.fixture
def hands(double: Double, identities: InMemoryIdentities) -> Hands:
    return RenamingHands(double, identities)


@pytest.fixture
def provider(double: Double, hands: Hands, identities: InMemoryIdentities) -> Iterator[OutlookCalendar]:
    calendar = outlook.build_calendar(make_section(double, organizers=hands.organizers, identities=identities))
    yield calendar
    calendar.close()


class TestOutlookNames(CalendarContract):
    """The contract of a calendar, where the service names nobody by the invited address."""

    remembers_cancelled = False  # the service promises nothing about the transaction id of a deleted event


@pytest.mark.parametrize("form", NAME_FORMS)
def test_update_without_a_change_of_guests_keeps_answers_and_invites_nobody(double: Double, form: str) -> None:
    """R-9, what people do is respected, also when the provider never saw the service's name for the guest, as after
    a restart."""
    hands = Hands(double)
    dana, sam = hands.person(), hands.person()
    double.world.mailboxes[sam].shown = form.format(name="sam")
    event_draft = draft(dana, sam)
    event = outlook.build_calendar(make_section(double)).create(dana, event_draft)
    hands.answer(dana, sam, event_draft.key, Answer.ACCEPTED)
    double.world.invitations.clear()
    new_provider = outlook.build_calendar(make_section(double))
    event_now = new_provider.find(dana, event_draft.key)
    assert event_now is not None
    new_provider.update(event_now.ref, event_draft)
    new_provider.update(event_now.ref, replace(event_draft, title="Other words"))
    assert not any(kind == "cancel" for kind, _, _ in double.world.invitations)
    assert double.counts["PATCH events/{id}"] == 1
    assert [attendee["response"] for attendee in hands.find_event(dana, event_draft.key).attendees] == ["accepted"]
    assert event.ref.id == event_now.ref.id


def test_guests_other_name_is_learned_from_our_own_event(
    provider: OutlookCalendar, double: Double, hands: Hands, identities: InMemoryIdentities
) -> None:
    for _ in NAME_FORMS:
        dana, sam = hands.person(), hands.person()
        assert provider.create(dana, draft(dana, sam)).answers == {sam: Answer.NEEDS_ACTION}
        for person in (dana, sam):
            assert identities.find_primary(double.world.mailboxes[person].shown) == person


def test_person_who_replaced_our_guest_does_not_count_as_our_guest(
    double: Double, identities: InMemoryIdentities
) -> None:
    hands = Hands(double)
    provider = outlook.build_calendar(make_section(double, identities=identities))
    dana, sam, kim = hands.person(), hands.person(), hands.person()
    event_draft = draft(dana, sam)
    event = provider.create(dana, event_draft)
    item = hands.find_event(dana, event_draft.key)
    item.attendees = [make_attendee(kim)]
    item.mailbox.record_change(item)
    event_now = provider.find(dana, event_draft.key)
    assert event_now is not None
    provider.update(event_now.ref, replace(event_draft, title="Other words"))
    assert [attendee["address"] for attendee in item.attendees] == [kim]
    assert identities.find_primary(kim) == kim and event.ref.id == item.id


def test_guests_whom_people_added_stay_unchanged(provider: OutlookCalendar, double: Double, hands: Hands) -> None:
    """R-9, what people change is respected: optional guests stay, too, and nobody gets a cancellation."""
    dana, sam, kim, lee = (hands.person() for _ in range(4))
    event_draft = draft(dana, sam)
    provider.create(dana, event_draft)
    item = hands.find_event(dana, event_draft.key)
    item.attendees.append({**make_attendee(kim), "type": "optional", "response": "accepted"})
    double.world.invitations.clear()
    event = provider.find(dana, event_draft.key)
    assert event is not None
    draft_with_lee = replace(event_draft, guests=(*event_draft.guests, replace(event_draft.guests[0], email=lee)))
    provider.update(event.ref, draft_with_lee)
    assert get_attendee_types(item) == {sam: "required", kim: "optional", lee: "required"}
    assert not any(kind == "cancel" for kind, _, _ in double.world.invitations)
    assert next(attendee for attendee in item.attendees if attendee["address"] == kim)["response"] == "accepted"


def test_our_event_is_recognized_on_the_guests_calendar(
    provider: OutlookCalendar, hands: Hands, double: Double
) -> None:
    """R-8, a clash defers a session, so our own event must not count as one. It is recognized by what all its copies
    share, whichever name the organizer has there."""
    dana, sam = hands.person(), hands.person()
    event_draft = draft(dana, sam)
    provider.create(dana, event_draft)
    mailboxes = double.world.mailboxes
    identities = InMemoryIdentities({person: [mailboxes[person].sign_in] for person in (dana, sam)})
    new_provider = outlook.build_calendar(
        make_section(double, organizers=lambda _: {dana}, local_people=[dana, sam], identities=identities)
    )
    assert [event.key for event in new_provider.changes(sam, None, WINDOW).events] == [event_draft.key]
    assert [busy.key for busy in new_provider.free_busy([dana, sam], WINDOW)[sam].busy] == [event_draft.key]


def test_mailbox_is_reached_by_the_directory_id(double: Double) -> None:
    hands = Hands(double)
    dana = hands.person()
    mailbox = double.world.mailboxes[dana]
    mailbox.sign_in = "d.example@corp.example.org"
    identities = InMemoryIdentities(directory_ids={dana: mailbox.directory_id})
    provider = outlook.build_calendar(make_section(double, identities=identities))
    event = provider.create(dana, draft(dana))
    assert event.organizer == dana
    assert all(mailbox.directory_id in path for _, path, _ in double.seen)


def test_changed_sign_in_name_is_found_again(double: Double) -> None:
    hands = Hands(double)
    dana = hands.person()
    mailbox = double.world.mailboxes[dana]
    identities = InMemoryIdentities(
        {dana: ["old@corp.example.org", "new@corp.example.org"]}, directory_ids={dana: "not-of-this-tenant"}
    )
    provider = outlook.build_calendar(make_section(double, identities=identities))
    for name in ("old@corp.example.org", "new@corp.example.org"):
        mailbox.sign_in = name
        assert provider.find(dana, UNUSED_KEY) is None


def test_mail_is_sent_from_a_mailbox_with_another_sign_in_name(double: Double) -> None:
    mailbox = double.world.add_person("dana@example.org")
    mailbox.sign_in = "d.example@corp.example.org"
    identities = InMemoryIdentities({mailbox.address: [mailbox.sign_in]})
    outlook.build_mailer(make_section(double, sender=mailbox.address, identities=identities)).send(
        letter("sam@example.org"), "k"
    )
    assert [to for to, _ in double.mails.outbox] == ["sam@example.org"]


def test_guest_listed_under_two_names_has_the_given_answer(
    provider: OutlookCalendar, double: Double, hands: Hands, identities: InMemoryIdentities
) -> None:
    dana, sam = hands.person(), hands.person()
    event_draft = draft(dana, sam)
    provider.create(dana, event_draft)
    hands.answer(dana, sam, event_draft.key, Answer.DECLINED)
    identities.learn(sam, "sam.again@example.org")
    hands.find_event(dana, event_draft.key).attendees.append(make_attendee("sam.again@example.org"))
    event = provider.find(dana, event_draft.key)
    assert event is not None and event.answers == {sam: Answer.DECLINED}


def test_unknown_sign_in_name_is_refused_with_a_remedy(double: Double) -> None:
    hands = Hands(double)
    dana = hands.person()
    double.world.mailboxes[dana].sign_in = "d.example@corp.example.org"
    provider = outlook.build_calendar(make_section(double))
    with pytest.raises(NotFound, match="aliases") as error_info:
        provider.create(dana, draft(dana))
    assert "\n" not in str(error_info.value)
    [finding] = [finding for finding in provider.check(dana) if not finding.ok]
    assert "known to Microsoft 365" in finding.statement and "aliases" in finding.remedy


def test_each_person_in_a_batch_is_reached_by_the_known_name(double: Double) -> None:
    hands = Hands(double)
    people = [hands.person() for _ in range(4)]
    identities = InMemoryIdentities({people[1]: ["one@corp.example.org"]})
    double.world.mailboxes[people[1]].sign_in = "one@corp.example.org"
    double.world.mailboxes[people[2]].sign_in = "two@corp.example.org"
    for person in people:
        hands.add(person, span(5, 14))
    provider = outlook.build_calendar(make_section(double, organizers=lambda person: {person}, identities=identities))
    free_busy = provider.free_busy(people, WINDOW)
    assert [len(free_busy[person].busy) for person in people] == [1, 1, 0, 1]
    assert not free_busy[people[2]].is_known and "aliases" in free_busy[people[2]].reason


# --- the check of reports ---------------------------------------------------------------------------------------------


def test_check_tries_the_free_busy_of_a_report_outside_the_apps_scope(double: Double) -> None:
    """Whether the free/busy of such a report can be read through a manager's mailbox differs between tenants."""
    hands = Hands(double)
    dana, sam, kim = hands.person(), hands.person(), hands.person()
    managers_by_report: Mapping[Address, set[Address]] = {sam: {dana}, kim: {dana}}
    provider = outlook.build_calendar(
        make_section(
            double, local_people=[dana, sam, kim], organizers=lambda person: managers_by_report.get(person, set())
        )
    )
    double.blocked.add(sam)
    [finding] = [finding for finding in provider.check(dana) if "The free/busy of" in finding.statement]
    assert finding.ok and f"{sam} outside the app's scope" in finding.statement
    double.without_free_busy.add(sam)
    [finding] = [finding for finding in provider.check(dana) if "The free/busy of" in finding.statement]
    assert not finding.ok and sam in finding.remedy and kim not in finding.remedy and "Calendars.Read" in finding.remedy
    assert double.counts["POST events"] == double.counts["PATCH events/{id}"] == 0


def make_attendee(address: Address) -> dict[str, str]:
    """Return an attendee in the double's format, without an answer."""
    return {"address": address, "shown": address, "name": address, "type": "required", "response": "none"}


def get_attendee_types(item: Item) -> dict[Address, str]:
    return {attendee["address"]: attendee["type"] for attendee in item.attendees}
