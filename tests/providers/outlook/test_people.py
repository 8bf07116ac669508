"""Who somebody is in Microsoft 365: it calls people by other addresses than those that were invited, by X500 strings
or by bare names, and reaches them by their sign-in names, which may be others than their addresses."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest

from tests.doubles.graph import Double, Hands, section
from tests.doubles.graph.state import Item
from tests.support.drafts import WINDOW, draft, letter, span
from tests.support.provider_contract import CalendarContract
from worker.domain.model import Address, Answer, Span
from worker.errors import NotFound
from worker.providers.identities import InMemoryIdentities
from worker.providers.outlook import calendar as outlook
from worker.providers.outlook.calendar import OutlookCalendar

FORMS = (
    "{name}.example@corp.example.org",
    "/o=ExchangeLabs/ou=Exchange Administrative Group/cn={name}",
    "{name} Example",
)


class RenamingHands(Hands):
    """People whom the service calls by another form than their address, each kind of form in turn; each with a sign-in
    name of its own."""

    def __init__(self, double: Double, identities: InMemoryIdentities) -> None:
        super().__init__(double)
        self._identities = identities

    def person(self, zone: str = "UTC") -> Address:
        address = super().person(zone)
        box = self.world.mailboxes[address]
        name = address.partition("@")[0]
        box.shown = FORMS[len(self.world.mailboxes) % len(FORMS)].format(name=name)
        box.sign_in = f"{name}.signs.in@corp.example.org"
        self._identities.learn(address, box.sign_in)
        return address

    def invite(self, organizer: Address, guest: Address, span: Span, answer: Answer) -> str:
        """A meeting of two who are known already, by an earlier event of ours."""
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
    calendar = outlook.build_calendar(section(double, organizers=hands.organizers, identities=identities))
    yield calendar
    calendar.close()


class TestOutlookNames(CalendarContract):
    """Everything a calendar promises, where nobody is called by the address that was invited."""

    remembers_cancelled = False


@pytest.mark.parametrize("form", FORMS)
def test_an_update_that_changes_nothing_invites_nobody_anew(double: Double, form: str) -> None:
    """R-9: also where what the service calls the guest was never seen before, as after a restart."""
    hands = Hands(double)
    dana, sam = hands.person(), hands.person()
    double.world.mailboxes[sam].shown = form.format(name="sam")
    wanted = draft(dana, sam)
    event = outlook.build_calendar(section(double)).create(dana, wanted)
    hands.answer(dana, sam, wanted.key, Answer.ACCEPTED)
    double.world.invitations.clear()
    later = outlook.build_calendar(section(double))
    seen = later.find(dana, wanted.key)
    assert seen is not None
    later.update(seen.ref, wanted)
    later.update(seen.ref, replace(wanted, subject="Other words"))
    assert not any(kind == "cancel" for kind, _, _ in double.world.invitations)
    assert double.counts["PATCH events/{id}"] == 1
    assert [one["response"] for one in hands.find_event(dana, wanted.key).attendees] == ["accepted"]
    assert event.ref.id == seen.ref.id


def test_a_new_name_of_the_guest_is_learned_from_our_own_event(
    provider: OutlookCalendar, double: Double, hands: Hands, identities: InMemoryIdentities
) -> None:
    for _ in FORMS:
        dana, sam = hands.person(), hands.person()
        assert provider.create(dana, draft(dana, sam)).answers == {sam: Answer.NEEDS_ACTION}
        for person in (dana, sam):
            assert identities.find_primary(double.world.mailboxes[person].shown) == person


def test_somebody_whom_people_put_in_the_guests_place_is_not_taken_for_the_guest(
    double: Double, identities: InMemoryIdentities
) -> None:
    hands = Hands(double)
    provider = outlook.build_calendar(section(double, identities=identities))
    dana, sam, kim = hands.person(), hands.person(), hands.person()
    wanted = draft(dana, sam)
    event = provider.create(dana, wanted)
    item = hands.find_event(dana, wanted.key)
    item.attendees = [guest(kim)]
    item.mailbox.record_change(item)
    seen = provider.find(dana, wanted.key)
    assert seen is not None
    provider.update(seen.ref, replace(wanted, subject="Other words"))
    assert [one["address"] for one in item.attendees] == [kim]
    assert identities.find_primary(kim) == kim and event.ref.id == item.id


def test_guests_whom_people_added_stay_as_they_were_added(
    provider: OutlookCalendar, double: Double, hands: Hands
) -> None:
    """R-9: optional ones too, and nobody hears of a cancellation."""
    dana, sam, kim, lee = (hands.person() for _ in range(4))
    wanted = draft(dana, sam)
    provider.create(dana, wanted)
    item = hands.find_event(dana, wanted.key)
    item.attendees.append({**guest(kim), "type": "optional", "response": "accepted"})
    double.world.invitations.clear()
    event = provider.find(dana, wanted.key)
    assert event is not None
    both = replace(wanted, guests=(*wanted.guests, replace(wanted.guests[0], email=lee)))
    provider.update(event.ref, both)
    assert kinds(item) == {sam: "required", kim: "optional", lee: "required"}
    assert not any(kind == "cancel" for kind, _, _ in double.world.invitations)
    assert next(one for one in item.attendees if one["address"] == kim)["response"] == "accepted"


def test_our_event_stays_ours_on_the_guests_calendar(provider: OutlookCalendar, hands: Hands, double: Double) -> None:
    """R-8: known by what all copies share, whatever the organizer is called."""
    dana, sam = hands.person(), hands.person()
    wanted = draft(dana, sam)
    provider.create(dana, wanted)
    boxes = double.world.mailboxes
    known = InMemoryIdentities({who: [boxes[who].sign_in] for who in (dana, sam)})
    fresh = outlook.build_calendar(
        section(double, organizers=lambda _: {dana}, local_people=[dana, sam], identities=known)
    )
    assert [event.key for event in fresh.changes(sam, None, WINDOW).events] == [wanted.key]
    assert [busy.key for busy in fresh.free_busy([dana, sam], WINDOW)[sam].busy] == [wanted.key]


def test_a_mailbox_is_reached_by_the_id_in_the_directory(double: Double) -> None:
    hands = Hands(double)
    dana = hands.person()
    box = double.world.mailboxes[dana]
    box.sign_in = "d.example@corp.example.org"
    known = InMemoryIdentities(directory_ids={dana: box.directory_id})
    provider = outlook.build_calendar(section(double, identities=known))
    event = provider.create(dana, draft(dana))
    assert event.organizer == dana
    assert all(box.directory_id in path for _, path, _ in double.seen)


def test_a_sign_in_name_that_changes_is_looked_for_again(double: Double) -> None:
    hands = Hands(double)
    dana = hands.person()
    box = double.world.mailboxes[dana]
    known = InMemoryIdentities({dana: ["old@corp.example.org", "new@corp.example.org"]}, {dana: "not-of-this-tenant"})
    provider = outlook.build_calendar(section(double, identities=known))
    for name in ("old@corp.example.org", "new@corp.example.org"):
        box.sign_in = name
        assert provider.find(dana, "s0.1") is None


def test_mail_goes_out_from_a_mailbox_with_another_sign_in_name(double: Double) -> None:
    box = double.world.add_person("dana@example.org")
    box.sign_in = "d.example@corp.example.org"
    known = InMemoryIdentities({box.address: [box.sign_in]})
    outlook.build_mailer(section(double, sender=box.address, identities=known)).send(letter("sam@example.org"), "k")
    assert [to for to, _ in double.mails.outbox] == ["sam@example.org"]


def test_a_guest_who_is_listed_by_two_names_has_the_answer_that_was_given(
    provider: OutlookCalendar, double: Double, hands: Hands, identities: InMemoryIdentities
) -> None:
    dana, sam = hands.person(), hands.person()
    wanted = draft(dana, sam)
    provider.create(dana, wanted)
    hands.answer(dana, sam, wanted.key, Answer.DECLINED)
    identities.learn(sam, "sam.again@example.org")
    hands.find_event(dana, wanted.key).attendees.append(guest("sam.again@example.org"))
    event = provider.find(dana, wanted.key)
    assert event is not None and event.answers == {sam: Answer.DECLINED}


def test_who_signs_in_by_another_name_is_refused_with_the_remedy(double: Double) -> None:
    hands = Hands(double)
    dana = hands.person()
    double.world.mailboxes[dana].sign_in = "d.example@corp.example.org"
    provider = outlook.build_calendar(section(double))
    with pytest.raises(NotFound, match="aliases") as caught:
        provider.create(dana, draft(dana))
    assert "\n" not in str(caught.value)
    [finding] = [one for one in provider.check(dana) if not one.ok]
    assert "known to Microsoft 365" in finding.statement and "aliases" in finding.remedy


def test_many_are_reached_at_once_by_whatever_name_each_has(double: Double) -> None:
    hands = Hands(double)
    people = [hands.person() for _ in range(4)]
    known = InMemoryIdentities({people[1]: ["one@corp.example.org"]})
    double.world.mailboxes[people[1]].sign_in = "one@corp.example.org"
    double.world.mailboxes[people[2]].sign_in = "two@corp.example.org"
    for person in people:
        hands.add(person, span(5, 14))
    provider = outlook.build_calendar(section(double, organizers=lambda who: {who}, identities=known))
    free_busy = provider.free_busy(people, WINDOW)
    assert [len(free_busy[who].busy) for who in people] == [1, 1, 0, 1]
    assert not free_busy[people[2]].is_known and "aliases" in free_busy[people[2]].reason


# --- what the check finds out about reports ---------------------------------------------------------------------------


def test_the_check_tries_whether_reports_outside_the_scope_are_told_of(double: Double) -> None:
    """What a scope lets be seen through a manager's mailbox differs between tenants: nobody promises it."""
    hands = Hands(double)
    dana, sam, kim = hands.person(), hands.person(), hands.person()
    team: Mapping[Address, set[Address]] = {sam: {dana}, kim: {dana}}
    provider = outlook.build_calendar(
        section(double, local_people=[dana, sam, kim], organizers=lambda who: team.get(who, set()))
    )
    double.blocked.add(sam)
    [told] = [one for one in provider.check(dana) if "The free/busy of" in one.statement]
    assert told.ok and f"{sam} outside the app's scope" in told.statement
    double.without_free_busy.add(sam)
    [told] = [one for one in provider.check(dana) if "The free/busy of" in one.statement]
    assert not told.ok and sam in told.remedy and kim not in told.remedy and "Calendars.Read" in told.remedy
    assert double.counts["POST events"] == double.counts["PATCH events/{id}"] == 0


def guest(address: Address) -> dict[str, str]:
    return {"address": address, "shown": address, "name": address, "type": "required", "response": "none"}


def kinds(item: Item) -> dict[Address, str]:
    return {one["address"]: one["type"] for one in item.attendees}
