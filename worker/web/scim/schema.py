"""What a directory can push about a person, and what the server says about itself.

These are the attributes of SCIM that the roster needs, and no others. A directory may send more, such as titles and
phone numbers: they are accepted and dropped.
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

#: How many people a page of a list has at most.
MAX_PAGE = 200


class UserNameParts(ComplexAttribute):
    """The name of a person."""

    formatted: str | None = None
    family_name: str | None = None
    given_name: str | None = None


class UserEmail(ComplexAttribute):
    """A mail address. `home` is a private one, at which nobody is invited."""

    value: str | None = None
    type: str | None = None
    primary: bool | None = None


class UserAddress(ComplexAttribute):
    """The country of an address; nothing else of it is kept."""

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
    """A manager. `value`: the id that this server gave the person; it may be pushed before that person is."""

    value: Annotated[str | None, CaseExact.true] = None


class EnterpriseUser(Extension):
    """The part of a person that the standard's extension for companies adds."""

    __schema__ = URN("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User")

    employee_number: str | None = None
    department: str | None = None
    manager: UserManager | None = None


#: A person with the extension for companies.
PushedUser = User[EnterpriseUser]

#: Accepts where Entra and Okta depart from the standard, and ignores unknown attributes (RFC 7643, section 3.3).
_POLICY = ScimPolicy(
    unknown=ScimPolicy.Unknown.ignore,
    remove_value_as_filter=ScimPolicy.RemoveValue.apply,
    unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create,
)


@cache
def get_provider() -> ScimProvider:
    """Return the description of the server."""
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
