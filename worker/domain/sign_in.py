"""Decides which person an OpenID Connect sign-in identifies, and which roles that person has.

No other module decides this. The issuer is the company's sign-in service. All claims passed in come from a verified ID
token that the issuer created for this program.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from worker.domain.model import Address

#: The hosts of Microsoft's issuers, which do not verify the claim `email`, but do verify `preferred_username`.
MICROSOFT_HOSTS = frozenset(
    {"login.microsoftonline.com", "login.microsoftonline.us", "login.partner.microsoftonline.cn"}
)
GOOGLE_HOST = "accounts.google.com"
#: The domain of Google's own addresses, which belong to no company.
GOOGLE_DOMAIN = "gmail.com"


class Role(StrEnum):
    """A role, which allows a person to open more than their own pages."""

    OPERATOR = "operator"
    PEOPLE_OPS = "people_ops"


class SignInFault(StrEnum):
    """Why the claims of a successful sign-in can't identify a person."""

    NO_ADDRESS = "no_address"
    UNVERIFIED = "unverified"  #: the issuer has not verified the address
    FOREIGN_DOMAIN = "foreign_domain"  #: the address may not belong to the company


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInPolicy:
    """Whose sign-in is accepted, and who has which role."""

    issuer: str  #: the issuer's URL
    role_claim: str = ""  #: the name of the claim that lists a person's roles; empty when `members` holds addresses
    members: Mapping[Role, frozenset[str]] = field(default_factory=dict)  #: addresses, or values of `role_claim`
    domains: frozenset[str] = frozenset()  #: the accepted domains of addresses; empty when every domain is accepted

    @property
    def address_claim(self) -> str:
        """The name of the claim whose address the issuer has verified."""
        return "preferred_username" if urlsplit(self.issuer).hostname in MICROSOFT_HOSTS else "email"


@dataclass(frozen=True, slots=True)
class Identity:
    """A person who signed in."""

    address: Address
    role_values: frozenset[str] = frozenset()  #: the values of the role claim that grant a role


def identify_person(claims: Mapping[str, Any], policy: SignInPolicy) -> Identity | SignInFault:
    """Return the person whom the claims identify, or the reason why they identify nobody."""
    address = claims.get(policy.address_claim)
    if not isinstance(address, str) or address.count("@") != 1:
        return SignInFault.NO_ADDRESS
    address = address.strip().casefold()
    domain = address.partition("@")[2]
    if policy.address_claim == "email" and claims.get("email_verified") is not True:
        return SignInFault.UNVERIFIED
    if policy.domains and domain not in policy.domains:
        return SignInFault.FOREIGN_DOMAIN
    is_google_account = urlsplit(policy.issuer).hostname == GOOGLE_HOST
    if is_google_account and not _is_owned_google_address(claims.get("hd"), domain, policy):
        return SignInFault.FOREIGN_DOMAIN
    if not policy.role_claim:
        return Identity(address)
    granting_values: frozenset[str] = frozenset().union(*policy.members.values())
    return Identity(address, _read_role_values(claims.get(policy.role_claim)) & granting_values)


def _is_owned_google_address(hosted_domain: object, domain: str, policy: SignInPolicy) -> bool:
    """Return whether the address of a Google account certainly belongs to the person who signed in.

    `domain` is the domain of the address. `hosted_domain` is the claim `hd`, the Workspace domain of the account. A
    private account has no such claim, and may have an address at any domain. Google verified that address once; the
    address may belong to somebody else by now.
    """
    if hosted_domain is None:
        return domain == GOOGLE_DOMAIN
    return isinstance(hosted_domain, str) and (not policy.domains or hosted_domain.casefold() in policy.domains)


def _read_role_values(claim: object) -> frozenset[str]:
    """Return the strings in a claim that is one string or a list; empty for a claim of any other type."""
    if isinstance(claim, str):
        return frozenset({claim})
    return frozenset(value for value in claim if isinstance(value, str)) if isinstance(claim, list) else frozenset()


def list_roles(identity: Identity, addresses: Collection[Address], policy: SignInPolicy) -> frozenset[Role]:
    """Return the roles of a person. `addresses` are all addresses of the person, including aliases."""
    own_values = identity.role_values if policy.role_claim else {identity.address, *addresses}
    return frozenset(role for role, members in policy.members.items() if not members.isdisjoint(own_values))
