"""Who an address belongs to."""

from worker.providers.identities import InMemoryIdentities, normalize


def test_every_form_of_a_person_leads_to_the_primary_address() -> None:
    people = InMemoryIdentities(
        {"dana@x.example": ["D.Smith@x.example", "/o=ExchangeLabs/cn=dana"], "sam@x.example": []}
    )
    for form in ("DANA@x.example", "mailto:d.smith@x.example", "SMTP:D.Smith@X.example", "/O=EXCHANGELABS/CN=DANA"):
        assert people.find_primary(form) == "dana@x.example"
    assert people.find_primary("Nobody@Y.example ") == "nobody@y.example"
    assert people.list_aliases("dana@x.example") == {"dana@x.example", "d.smith@x.example", "/o=exchangelabs/cn=dana"}


def test_a_learned_form_never_takes_a_name_from_somebody_else() -> None:
    people = InMemoryIdentities({"dana@x.example": [], "sam@x.example": []})
    people.learn("dana@x.example", "Dana Smith")
    people.learn("dana@x.example", "sam@x.example")
    assert people.find_primary("dana smith") == "dana@x.example"
    assert people.find_primary("sam@x.example") == "sam@x.example"


def test_normalized_forms_are_stable() -> None:
    assert normalize(" MailTo: Dana@X.example ") == normalize(normalize("dana@x.example"))
