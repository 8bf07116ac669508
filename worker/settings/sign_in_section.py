"""The section of the settings about signing in with the company's accounts (OpenID Connect)."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import PlainValidator

from worker.domain.sign_in import MICROSOFT_HOSTS, Role, SignInPolicy
from worker.settings.parsers import InvalidValue, parse_address, shorten_value
from worker.settings.sections import PathText, Section, Text, validate_optional_text
from worker.settings.url_parsers import make_url_parser

#: In the URL of an issuer at Microsoft, the tenants that are shared by all companies. It is empty in a URL without one.
_SHARED_TENANTS = {"", "common", "organizations", "consumers"}
_LOOPBACK_HOSTS = {"localhost", "127.0.0.1", "::1"}

#: The key of a setting: the names of its sections, and its own name.
Key = tuple[str, ...]


def _parse_issuer(text: str) -> str:
    """Return the URL of an issuer. Raises InvalidValue, also for an issuer that all companies share."""
    parts = urlsplit(make_url_parser("https", "http")(text))
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK_HOSTS:
        raise InvalidValue("This issuer is not reached by HTTPS.", "Begin it with `https://`.")
    if parts.query or parts.fragment:
        raise InvalidValue("An issuer's address ends with its path.", "Remove the part after `?` or `#`.")
    if parts.hostname in MICROSOFT_HOSTS and parts.path.strip("/").partition("/")[0] in _SHARED_TENANTS:
        remedy = "Write the id of your own tenant instead: `https://login.microsoftonline.com/<tenant id>/v2.0`."
        raise InvalidValue("This issuer is shared by all companies.", remedy)
    return text.removesuffix("/.well-known/openid-configuration")


def _parse_domain(text: str) -> str:
    try:
        return parse_address(f"id@{text.casefold()}").partition("@")[2]
    except InvalidValue:
        raise InvalidValue(f"`{shorten_value(text)}` is not a domain.", "Write it as `example.com`.") from None


def _validate_texts(parse: Callable[[str], str]) -> PlainValidator:
    """Return a validator of a list of texts, which parses each of them and removes repetitions."""

    def parse_all(value: object) -> tuple[str, ...]:
        if not isinstance(value, list | tuple) or not all(isinstance(entry, str) and entry.strip() for entry in value):
            raise InvalidValue("This is not a list of texts.", 'Write for example `["dana@example.com"]`, or `[]`.')
        return tuple(dict.fromkeys(parse(entry.strip()) for entry in value))

    return PlainValidator(parse_all)


#: The people who have a role: their addresses, or values of the role claim.
_Members = Annotated[tuple[str, ...], _validate_texts(str)]


class SignInSettings(Section):
    """How people sign in, and who has which role.

    `operators` and `people_ops` are addresses, or, with a `role_claim`, values of that claim. `domains` are the domains
    of the addresses that are let in; when it is empty, every domain is. The secret of the OpenID Connect client is in
    the environment.
    """

    issuer: Annotated[str, validate_optional_text(_parse_issuer)] = ""
    client_id: Text = ""
    operators: _Members = ()
    people_ops: _Members = ()
    role_claim: Text = ""
    domains: Annotated[tuple[str, ...], _validate_texts(_parse_domain)] = ()
    ca_file: PathText | None = None

    @property
    def policy(self) -> SignInPolicy:
        """The policy that says whose sign-in is accepted, and who has which role."""
        members_by_role = {Role.OPERATOR: self.operators, Role.PEOPLE_OPS: self.people_ops}
        members = {
            role: frozenset(names if self.role_claim else map(str.casefold, names))
            for role, names in members_by_role.items()
        }
        return SignInPolicy(
            issuer=self.issuer, role_claim=self.role_claim, members=members, domains=frozenset(self.domains)
        )


def make_redirect_uri(base_url: str) -> str:
    """Return the URL to which the issuer redirects browsers. It has to be registered there in exactly this form."""
    return f"{base_url}/sign-in/callback"


def refuse_incomplete_sign_in(
    values: Mapping[str, Any], add_problem: Callable[[Key, str, str], None], *, has_secret: bool
) -> None:
    """Add a problem for each missing setting of sign-in, and for each setting that has no effect without sign-in.

    `values` are the settings in the file. `add_problem` takes the key of a setting, what is wrong, and the remedy.
    `has_secret` says whether the environment has the client's secret.
    """
    section, pages = values.get("sign_in", {}), values.get("pages", {})
    if not isinstance(section, dict) or not isinstance(pages, dict):
        return  # pydantic reports that a section is not a section
    if not section.get("issuer"):
        if pages.get("sign_in") == "required":
            what = "Links require a sign-in, but sign-in is not set up."
            add_problem(("pages", "sign_in"), what, "Fill the section `[sign_in]`, or write `optional`.")
        for key in sorted(section.keys() & {"client_id", "operators", "people_ops", "role_claim", "domains"}):
            if section[key]:
                what = "This has no effect without an issuer."
                add_problem(("sign_in", key), what, "Set `sign_in.issuer`, or remove the section.")
        return
    if not section.get("client_id"):
        what = "Longarc's client id at the issuer is missing."
        add_problem(("sign_in", "client_id"), what, "Write the client id that the issuer has assigned to Longarc.")
    if not has_secret:
        what = "Longarc's client secret at the issuer is missing."
        remedy = "Set LONGARC_SIGN_IN_SECRET or LONGARC_SIGN_IN_SECRET_FILE in the environment."
        add_problem(("sign_in",), what, remedy)
    if not values.get("base_url"):
        add_problem(("sign_in",), "Sign-in needs pages, but there are none.", "Set `base_url`.")
    if not section.get("role_claim"):
        _refuse_non_addresses(section, add_problem)


def _refuse_non_addresses(section: Mapping[str, Any], add_problem: Callable[[Key, str, str], None]) -> None:
    """Add a problem for each member that is not an address. Without a `role_claim`, members are addresses."""
    for key in ("operators", "people_ops"):
        members = section.get(key, ())
        for member in members if isinstance(members, list | tuple) else ():
            try:
                parse_address(str(member))
            except InvalidValue:
                what = f"`{shorten_value(str(member))}` is not an e-mail address."
                add_problem(("sign_in", key), what, "Write addresses, or name the claim with roles as `role_claim`.")
