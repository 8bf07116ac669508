"""Who a company's sign-in says somebody is, and what that person may open. Decided here alone.

The claims given have been verified: they are those of an ID token of the company's issuer for this program.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from worker.domain.model import Address

#: The hosts of Microsoft's issuers. An address that they put in `email` is not verified; the user name of a tenant is.
MICROSOFT_HOSTS = frozenset(
    {"login.microsoftonline.com", "login.microsoftonline.us", "login.partner.microsoftonline.cn"}
)
GOOGLE_HOST = "accounts.google.com"
#: Addresses that Google vouches for without a company.
GOOGLE_DOMAIN = "gmail.com"


class Role(StrEnum):
    """What somebody who signed in may open besides pages of their own."""

    OPERATOR = "operator"
    PEOPLE_OPS = "people_ops"


class SignInFault(StrEnum):
    """Why a sign-in that the issuer accepted is of no use here."""

    NO_ADDRESS = "no_address"
    UNVERIFIED = "unverified"
    FOREIGN_DOMAIN = "foreign_domain"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInPolicy:
    """Whose sign-in counts, and who has which role."""

    issuer: str
    role_claim: str = ""  #: the claim with a person's roles; empty when `members` are addresses
    members: Mapping[Role, frozenset[str]] = field(default_factory=dict)  #: addresses, or values of the claim
    domains: frozenset[str] = frozenset()  #: of addresses; empty for any

    @property
    def address_claim(self) -> str:
        """The claim with an address that the issuer vouches for."""
        return "preferred_username" if urlsplit(self.issuer).hostname in MICROSOFT_HOSTS else "email"


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody who signed in: the address, and those values of the role claim that give a role."""

    address: Address
    values: frozenset[str] = frozenset()


def identify_person(claims: Mapping[str, Any], policy: SignInPolicy) -> Identity | SignInFault:
    """Return who the claims are about, or why they can't be used."""
    address = claims.get(policy.address_claim)
    if not isinstance(address, str) or address.count("@") != 1:
        return SignInFault.NO_ADDRESS
    address = address.strip().casefold()
    domain = address.partition("@")[2]
    if policy.address_claim == "email" and claims.get("email_verified") is not True:
        return SignInFault.UNVERIFIED
    if policy.domains and domain not in policy.domains:
        return SignInFault.FOREIGN_DOMAIN
    if urlsplit(policy.issuer).hostname == GOOGLE_HOST and not _is_google_domain(claims.get("hd"), domain, policy):
        return SignInFault.FOREIGN_DOMAIN
    listed = frozenset[str]().union(*policy.members.values())
    return Identity(address, _read_values(claims.get(policy.role_claim)) & listed if policy.role_claim else frozenset())


def _is_google_domain(hosted: object, domain: str, policy: SignInPolicy) -> bool:
    """Return whether Google vouches for an address of the domain.

    `hosted` is the claim `hd`: the Workspace domain of the account. An account without one may have an address at any
    domain, which was checked once and may belong to somebody else by now.
    """
    if hosted is None:
        return domain == GOOGLE_DOMAIN
    return isinstance(hosted, str) and (not policy.domains or hosted.casefold() in policy.domains)


def _read_values(claim: object) -> frozenset[str]:
    if isinstance(claim, str):
        return frozenset({claim})
    return frozenset(value for value in claim if isinstance(value, str)) if isinstance(claim, list) else frozenset()


def list_roles(identity: Identity, names: Collection[Address], policy: SignInPolicy) -> frozenset[Role]:
    """Return the roles of a person. `names`: every address of the person, aliases among them."""
    given = identity.values if policy.role_claim else {identity.address, *names}
    return frozenset(role for role, members in policy.members.items() if not members.isdisjoint(given))
