"""The headers of mails are those of the standard library, but repeated addresses are parsed once."""

import pickle
from email.headerregistry import Address
from email.policy import SMTP

from tests.support.read_mails import ENGLISH, SAMPLES
from worker.mail.headers import MAIL_POLICY, format_address


def test_every_header_equals_that_of_the_standard_policy() -> None:
    for context in SAMPLES:
        for name, value in ENGLISH.render(context).items():
            standard = SMTP.header_factory(name, str(value))
            assert (value.fold(policy=MAIL_POLICY), value.defects) == (standard.fold(policy=SMTP), standard.defects)
            assert getattr(value, "max_count", 0) == getattr(standard, "max_count", 0)


def test_addresses_are_cached_and_subjects_are_not() -> None:
    parse = MAIL_POLICY.header_factory
    sender = format_address("Łucja, née Müller", "lucja@corp.example")
    assert parse("To", sender) is parse("To", sender)
    assert parse("To", sender).addresses == (Address("Łucja, née Müller", addr_spec="lucja@corp.example"),)
    assert parse("From", sender) != parse("From", format_address("Dana", "dana@corp.example"))
    assert parse("Subject", "About us") is not parse("Subject", "About us")


def test_a_mail_can_be_pickled() -> None:
    mail = ENGLISH.render(SAMPLES[0])
    assert pickle.loads(pickle.dumps(mail)).as_bytes() == mail.as_bytes()  # noqa: S301 -- ours
