"""The SCIM schema of a person that directories push, and the server's description of itself.

The schema has only the attributes that the roster needs. Other attributes that a directory sends, such as titles and
phone numbers, are accepted and dropped.
"""

from functools import cache
from typing import Annotated

from scim2_models import (
    URN,
    AnyExtension,
    AuthenticationScheme,
    Bulk,
    CaseExact,
    ChangePassword,
    ComplexAttribute,
    ETag,
    Extension,
    Filter,
    Patch,
    Required,
    Resource,
    ResourceType,
    ScimPolicy,
    ScimProvider,
    ServiceProviderConfig,
    Sort,
    Uniqueness,
)

#: The most people on a page of a list response.
MAX_PAGE = 200


class UserNameParts(ComplexAttribute):
    """The parts of a person's name."""

    formatted: str | None = None
    family_name: str | None = None
    given_name: str | None = None


class UserEmail(ComplexAttribute):
    """A mail address. An address of the type `home` is private, so no invitation is sent to it."""

    value: str | None = None
    type: str | None = None
    primary: bool | None = None


class UserAddress(ComplexAttribute):
    """A postal address, of which only the country is kept."""

    country: str | None = None
    type: str | None = None
    primary: bool | None = None


class User(Resource[AnyExtension]):
    """A person."""

    __schema__ = URN("urn:ietf:params:scim:schemas:core:2.0:User")

    user_name: Annotated[str | None, Uniqueness.server, Required.true] = None
    name: UserNameParts | None = None
    display_name: str | None = None
    user_type: str | None = None
    preferred_language: str | None = None
    locale: str | None = None
    timezone: str | None = None
    active: bool | None = None
    emails: list[UserEmail] | None = None
    addresses: list[UserAddress] | None = None


class UserManager(ComplexAttribute):
    """A manager. `value` is the id that this server gave to the manager, or another id: see `worker.roster.scim`."""

    value: Annotated[str | None, CaseExact.true] = None


class EnterpriseUser(Extension):
    """The attributes of a person in the standard's extension for companies."""

    __schema__ = URN("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User")

    employee_number: str | None = None
    department: str | None = None
    manager: UserManager | None = None


#: A person with the extension for companies.
PushedUser = User[EnterpriseUser]

#: Accepts requests in which Entra and Okta depart from the standard, and ignores unknown attributes (RFC 7643, 3.3).
_POLICY = ScimPolicy(
    unknown=ScimPolicy.Unknown.ignore,
    remove_value_as_filter=ScimPolicy.RemoveValue.apply,
    unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create,
)


@cache
def get_provider() -> ScimProvider:
    """Return the server's schema, configuration and policy."""
    return ScimProvider(
        models=[User, EnterpriseUser],
        resource_types=[ResourceType.from_resource(PushedUser)],
        config=_build_config(),
        policy=_POLICY,
    )


def _build_config() -> ServiceProviderConfig:
    token = AuthenticationScheme(
        type=AuthenticationScheme.Type.oauthbearertoken,
        name="Bearer token",
        description="The token that Longarc's operator set as LONGARC_SCIM_TOKEN.",
        primary=True,
    )
    return ServiceProviderConfig(
        patch=Patch(supported=True),
        bulk=Bulk(supported=False, max_operations=0, max_payload_size=0),
        filter=Filter(supported=True, max_results=MAX_PAGE),
        change_password=ChangePassword(supported=False),
        sort=Sort(supported=False),
        etag=ETag(supported=True),
        authentication_schemes=[token],
    )
