"""Which address of a sign-in counts, and which roles it gives."""

from typing import Any

import pytest

from worker.domain.sign_in import Identity, Role, SignInFault, SignInPolicy, identify_person, list_roles

ADDRESS = "dana@corp.example"
ANY_ISSUER = SignInPolicy(issuer="https://issuer.example")
GOOGLE = SignInPolicy(issuer="https://accounts.google.com", domains=frozenset({"corp.example"}))
ENTRA = SignInPolicy(issuer="https://login.microsoftonline.com/8f1e/v2.0", domains=frozenset({"corp.example"}))
VERIFIED = {"email": "Dana@Corp.example", "email_verified": True}
#: Google's claim for the domain of the Workspace to which an account belongs.
WORKSPACE_DOMAIN = "hd"


@pytest.mark.parametrize(
    ("policy", "claims", "result"),
    [
        (ANY_ISSUER, VERIFIED, Identity(ADDRESS)),
        (ANY_ISSUER, {"email": ADDRESS}, SignInFault.UNVERIFIED),
        (ANY_ISSUER, {**VERIFIED, "email_verified": "true"}, SignInFault.UNVERIFIED),
        (ANY_ISSUER, {**VERIFIED, "email": [ADDRESS]}, SignInFault.NO_ADDRESS),
        (ANY_ISSUER, {**VERIFIED, "email": "a@b@corp.example"}, SignInFault.NO_ADDRESS),
        (GOOGLE, {**VERIFIED, WORKSPACE_DOMAIN: "corp.example"}, Identity(ADDRESS)),
        (GOOGLE, VERIFIED, SignInFault.FOREIGN_DOMAIN),  # a Google account outside of any Workspace
        (GOOGLE, {**VERIFIED, WORKSPACE_DOMAIN: "other.example"}, SignInFault.FOREIGN_DOMAIN),
        (
            GOOGLE,
            {**VERIFIED, "email": "dana@other.example", WORKSPACE_DOMAIN: "corp.example"},
            SignInFault.FOREIGN_DOMAIN,
        ),
        (SignInPolicy(issuer=GOOGLE.issuer), {**VERIFIED, "email": "d@gmail.com"}, Identity("d@gmail.com")),
        (ENTRA, {"preferred_username": ADDRESS}, Identity(ADDRESS)),
        (ENTRA, VERIFIED, SignInFault.NO_ADDRESS),  # the administrator of any tenant can set the claim `email`
        (ENTRA, {"preferred_username": "d@guest.example", "email": ADDRESS}, SignInFault.FOREIGN_DOMAIN),
    ],
)
def test_address_counts_when_the_issuer_vouches_for_it(
    policy: SignInPolicy, claims: dict[str, Any], result: Identity | SignInFault
) -> None:
    assert identify_person(claims, policy) == result


def test_list_of_addresses_gives_a_role_to_each_alias_of_a_person() -> None:
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
def test_claim_gives_the_roles_whose_values_it_contains(groups: object, roles: set[Role]) -> None:
    members = {Role.OPERATOR: frozenset({"ops"}), Role.PEOPLE_OPS: frozenset({"hr"})}
    policy = SignInPolicy(issuer="https://issuer.example", role_claim="groups", members=members)
    identity = identify_person({**VERIFIED, "groups": groups}, policy)
    assert isinstance(identity, Identity)
    assert "it" not in identity.role_values  # a value that gives no role is not kept
    assert list_roles(identity, ["ops"], policy) == roles
