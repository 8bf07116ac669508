"""Stores the questions to third voices: a report asks a third person one question, and alone gets the answer (R-30).

Nobody else learns the question, the answer or the third person. The rows of the outbox for these mails name nobody, and
the mails appear neither in the history, the ledger or the log, nor in anything that the operator sees.
"""

import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from worker.clock import Clock
from worker.domain.model import (
    MAX_OPEN_VOICES,
    MAX_VOICE_ANSWER,
    MAX_VOICE_QUESTION,
    NO_CALENDAR,
    VOICE_PERIOD,
    Address,
    Effect,
    EffectKind,
    MailName,
    Person,
    ThirdVoice,
    VoiceFault,
)
from worker.domain.planning.mail_times import MAX_MAILS_A_DAY
from worker.domain.time.mail_hours import list_mail_times
from worker.domain.time.worktime import get_local_date
from worker.errors import Refused
from worker.providers.identities import normalize_alias
from worker.settings.load import Settings
from worker.settings.parsers import InvalidValue, parse_address
from worker.store.store import Store

#: The longest time that a mail waits for its reader's working hours.
MAX_MAIL_DELAY = timedelta(days=14)


class UnfitVoice(Refused):
    """A question that can't be asked. `fault` is the reason. The message contains neither question nor address."""

    def __init__(self, fault: VoiceFault) -> None:
        super().__init__("This question can't be asked like that.")
        self.fault = fault


@dataclass(frozen=True, slots=True)
class VoiceParties:
    """A question, with the report who asks and the third person who is asked."""

    voice: ThirdVoice
    report: Person
    third_person: Person


class ThirdVoices:
    """Stores, lists and erases the questions of reports to third persons, and their answers."""

    def __init__(self, settings: Settings, store: Store, clock: Clock) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock

    def ask(self, report: Person, address: str, question: str) -> ThirdVoice:
        """Store a question, and add one mail to the third person to the outbox.

        Raises UnfitVoice. Raises WrongKey without an encryption key, or when it does not open stored questions.
        """
        now = self._clock()
        if not 0 < len(question) <= MAX_VOICE_QUESTION:
            raise UnfitVoice(VoiceFault.QUESTION)
        voice = ThirdVoice(
            id=secrets.token_hex(10),
            report=report.email,
            to=self._find_third_address(report, address),
            question=question,
            asked_at=now,
            expires_at=now + VOICE_PERIOD,
        )
        # an unknown person gets the report's working hours
        reader = replace(self._store.people.get_person(voice.to) or report, email=voice.to)
        names = self._store.aliases.list_names(report.email)
        with self._store.database.write() as connection:
            if self._store.third_voices.count_open(connection, names, now) >= MAX_OPEN_VOICES:
                raise UnfitVoice(VoiceFault.MANY)
            self._store.third_voices.add(connection, voice)
            self._add_mail(connection, MailName.THIRD_VOICE_REQUEST, voice, reader, now)
        return voice

    def answer(self, voice_id: str, answer: str) -> bool:
        """Store the answer, and add a mail to the report, which does not contain the answer. Returns False if refused.

        An answer is refused when it is empty or too long, when the question was answered or erased, or has expired, and
        when the report has left.
        """
        now, voice = self._clock(), self._store.third_voices.get_voice(voice_id)
        report = self._store.people.get_person(self._store.aliases.find_primary(voice.report)) if voice else None
        if voice is None or report is None or not 0 < len(answer) <= MAX_VOICE_ANSWER:
            return False
        with self._store.database.write() as connection:
            if not self._store.third_voices.save_answer(connection, voice_id, answer, now):
                return False
            self._add_mail(connection, MailName.THIRD_VOICE_ANSWERED, voice, report, now)
        return True

    def list_voices(self, report: Address) -> list[ThirdVoice]:
        """Return the questions of a report, newest first."""
        return self._store.third_voices.list_voices(self._store.aliases.list_names(report))

    def erase(self, report: Address, voice_id: str) -> bool:
        """Delete a question of a report with its answer. Returns False when the report has no question with this id."""
        voice = next((voice for voice in self.list_voices(report) if voice.id == voice_id), None)
        if voice is not None:
            self._store.third_voices.erase(voice, self._clock())
        return voice is not None

    def find_parties(self, voice_id: str) -> VoiceParties | None:
        """Return the question with its two people; None when it was deleted, or one of them has left (T-17)."""
        voice = self._store.third_voices.get_voice(voice_id)
        return _load_parties(self._store, voice) if voice and not _has_left(self._store, voice.to) else None

    def _add_mail(
        self, connection: Connection, name: MailName, voice: ThirdVoice, reader: Person, now: datetime
    ) -> None:
        """Add a mail to the outbox, in a row that names neither of the two people.

        It is due in the reader's working hours, on a day with fewer than MAX_MAILS_A_DAY mails to the reader (T-16).
        """
        times = list(list_mail_times(reader, now, now + MAX_MAIL_DELAY)) or [now]
        days = {time: get_local_date(reader.zone, time) for time in times}
        count_mails = self._store.outbox.count_mails
        free_times = (time for time in times if count_mails(connection, reader.email, days[time]) < MAX_MAILS_A_DAY)
        due_at = next(free_times, times[0])  # if all days are full, the mail leaves as soon as possible
        mail = Effect(
            key=f"{name}:{voice.id}",
            kind=EffectKind.MAIL,
            pair=None,
            subject=voice.id,
            due_at=due_at,
            decided_at=now,
            name=name.value,
        )
        self._store.outbox.add_unnamed_mail(connection, mail, reader.email, days[due_at])

    def _find_third_address(self, report: Person, text: str) -> Address:
        """Return the primary address of the third person. Raises UnfitVoice when the report may not ask that person."""
        try:
            address = self._store.aliases.find_primary(normalize_alias(parse_address(text)))
        except InvalidValue:
            raise UnfitVoice(VoiceFault.ADDRESS) from None
        managers = {pair.manager for pair in self._store.people.list_pairs_of_report(report.email)}
        operator = self._store.aliases.find_primary(normalize_alias(self._settings.operator))
        if address in {report.email, *managers, operator}:
            raise UnfitVoice(VoiceFault.EXCLUDED_PERSON)
        company_domains = {colleague.rpartition("@")[2] for colleague in self._store.people.load_current_people()}
        is_outside = address.rpartition("@")[2] not in company_domains
        # somebody who has left counts as outside, whether or not people outside may be asked
        if (is_outside and not self._settings.pages.outside_voices) or _has_left(self._store, address):
            raise UnfitVoice(VoiceFault.OUTSIDE)
        return address


def _has_left(store: Store, address: Address) -> bool:
    """Return whether the address belongs to a person who was in the roster, and no longer is."""
    owner = store.aliases.find_owner(address)
    return owner is not None and store.people.get_person(owner) is None


def _load_parties(store: Store, voice: ThirdVoice) -> VoiceParties | None:
    """Return the question with its two people; None when the report has left.

    A third person who is not in the roster gets the language, the working hours and the mail service of the report.
    """
    report = store.people.get_person(store.aliases.find_primary(voice.report))
    if report is None:
        return None
    colleague = store.people.get_person(store.aliases.find_primary(voice.to))
    outsider = Person(
        email=voice.to,
        name="",
        zone=report.zone,
        country=report.country,
        hours=report.hours,
        locale=report.locale,
        calendar=NO_CALENDAR,
        mail=report.mail,
    )
    return VoiceParties(voice, report, colleague or outsider)


def load_mail_parties(store: Store, mail: Effect, now: datetime) -> VoiceParties | None:
    """Return the question and the people that a mail is about; None when the mail is no longer wanted."""
    voice = store.third_voices.get_voice(mail.subject)
    if voice is None:
        return None
    may_answer = voice.is_open(now) and not _has_left(store, voice.to)
    is_wanted = may_answer if mail.name == MailName.THIRD_VOICE_REQUEST else voice.answered_at is not None
    return _load_parties(store, voice) if is_wanted else None
