"""The person whom an address belongs to."""

from hypothesis import given
from hypothesis import strategies as st

from worker.providers.identities import InMemoryIdentities, normalize_alias


def test_each_alias_leads_to_the_primary_address() -> None:
    identities = InMemoryIdentities(
        {"dana@x.example": ["D.Smith@x.example", "/o=ExchangeLabs/cn=dana"], "sam@x.example": []}
    )
    for alias in ("DANA@x.example", "mailto:d.smith@x.example", "SMTP:D.Smith@X.example", "/O=EXCHANGELABS/CN=DANA"):
        assert identities.find_primary(alias) == "dana@x.example"
    assert identities.find_primary("Nobody@Y.example ") == "nobody@y.example"
    assert identities.list_aliases("dana@x.example") == {
        "dana@x.example",
        "d.smith@x.example",
        "/o=exchangelabs/cn=dana",
    }


def test_learned_alias_does_not_replace_a_primary_address() -> None:
    identities = InMemoryIdentities({"dana@x.example": [], "sam@x.example": []})
    identities.learn("dana@x.example", "Dana Smith")
    identities.learn("dana@x.example", "sam@x.example")
    assert identities.find_primary("dana smith") == "dana@x.example"
    assert identities.find_primary("sam@x.example") == "sam@x.example"


def test_normalized_address_is_in_lower_case_without_scheme_and_blanks() -> None:
    for alias in (" MailTo: Dana@X.example ", "SMTP:mailto:dana@x.example", "mailto: smtp:DANA@x.example"):
        assert normalize_alias(alias) == "dana@x.example", alias


@given(st.lists(st.sampled_from(["mailto:", "SMTP:", " ", "\t", "Dana@X.example"]) | st.text(max_size=3)).map("".join))
def test_normalized_address_stays_the_same_when_normalized_again(alias: str) -> None:
    assert normalize_alias(normalize_alias(alias)) == normalize_alias(alias)
