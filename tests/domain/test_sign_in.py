"""Whose sign-in counts: an address that the issuer vouches for, of the right domains, and the roles it gives."""

from typing import Any

import pytest

from worker.domain.sign_in import Identity, Role, SignInFault, SignInPolicy, identify_person, list_roles

ADDRESS = "dana@corp.example"
ANY = SignInPolicy(issuer="https://issuer.example")
GOOGLE = SignInPolicy(issuer="https://accounts.google.com", domains=frozenset({"corp.example"}))
ENTRA = SignInPolicy(issuer="https://login.microsoftonline.com/8f1e/v2.0", domains=frozenset({"corp.example"}))
VERIFIED = {"email": "Dana@Corp.example", "email_verified": True}


@pytest.mark.parametrize(
    ("policy", "claims", "result"),
    [
        (ANY, VERIFIED, Identity(ADDRESS)),
        (ANY, {"email": ADDRESS}, SignInFault.UNVERIFIED),
        (ANY, {**VERIFIED, "email_verified": "true"}, SignInFault.UNVERIFIED),
        (ANY, {**VERIFIED, "email": [ADDRESS]}, SignInFault.NO_ADDRESS),
        (ANY, {**VERIFIED, "email": "a@b@corp.example"}, SignInFault.NO_ADDRESS),
        (GOOGLE, {**VERIFIED, "hd": "corp.example"}, Identity(ADDRESS)),
        (GOOGLE, VERIFIED, SignInFault.FOREIGN_DOMAIN),  # checked once by Google, and in no Workspace
        (GOOGLE, {**VERIFIED, "hd": "other.example"}, SignInFault.FOREIGN_DOMAIN),
        (GOOGLE, {**VERIFIED, "email": "dana@other.example", "hd": "corp.example"}, SignInFault.FOREIGN_DOMAIN),
        (SignInPolicy(issuer=GOOGLE.issuer), {**VERIFIED, "email": "d@gmail.com"}, Identity("d@gmail.com")),
        (ENTRA, {"preferred_username": ADDRESS}, Identity(ADDRESS)),
        (ENTRA, VERIFIED, SignInFault.NO_ADDRESS),  # anybody's tenant can put anything there
        (ENTRA, {"preferred_username": "d@guest.example", "email": ADDRESS}, SignInFault.FOREIGN_DOMAIN),
    ],
)
def test_address_counts_when_the_issuer_vouches_for_it(
    policy: SignInPolicy, claims: dict[str, Any], result: Identity | SignInFault
) -> None:
    assert identify_person(claims, policy) == result


def test_lists_of_addresses_hold_for_every_name_of_a_person() -> None:
    members = {Role.OPERATOR: frozenset({ADDRESS}), Role.PEOPLE_OPS: frozenset({"hilda@corp.example"})}
    policy = SignInPolicy(issuer="https://issuer.example", members=members)
    assert list_roles(Identity(ADDRESS), [], policy) == {Role.OPERATOR}
    assert list_roles(Identity("d.w@corp.example"), [ADDRESS], policy) == {Role.OPERATOR}
    assert list_roles(Identity("kim@corp.example", frozenset({ADDRESS})), [], policy) == frozenset()


@pytest.mark.parametrize(
    ("groups", "roles"),
    [
        (["it", "ops"], {Role.OPERATOR}),
        (["ops", "hr"], {Role.OPERATOR, Role.PEOPLE_OPS}),
        ("hr", {Role.PEOPLE_OPS}),
        (["OPS", 7, None], set()),
        ({"ops": True}, set()),
        (None, set()),
    ],
)
def test_claim_gives_the_roles_whose_values_it_has(groups: object, roles: set[Role]) -> None:
    members = {Role.OPERATOR: frozenset({"ops"}), Role.PEOPLE_OPS: frozenset({"hr"})}
    policy = SignInPolicy(issuer="https://issuer.example", role_claim="groups", members=members)
    identity = identify_person({**VERIFIED, "groups": groups}, policy)
    assert isinstance(identity, Identity)
    assert "it" not in identity.role_values  # what gives no role is not kept
    assert list_roles(identity, ["ops"], policy) == roles
