"""The section of the settings about signing in with the company's accounts (OpenID Connect)."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import PlainValidator

from worker.domain.sign_in import MICROSOFT_HOSTS, Role, SignInPolicy
from worker.settings.parsers import InvalidValue, parse_address, shorten_value
from worker.settings.sections import PathText, Section, Text, validate_optional_text
from worker.settings.url_parsers import make_url_parser

#: The first part of the path of Microsoft's issuers that are not those of one company.
_SHARED_TENANTS = {"", "common", "organizations", "consumers"}
_LOOPBACK_HOSTS = {"localhost", "127.0.0.1", "::1"}

Key = tuple[str, ...]


def _parse_issuer(text: str) -> str:
    """Check the address of an issuer. Anybody with an account at all can sign in at one that is shared."""
    parts = urlsplit(make_url_parser("https", "http")(text))
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK_HOSTS:
        raise InvalidValue("This issuer is not reached by HTTPS.", "Begin it with `https://`.")
    if parts.query or parts.fragment:
        raise InvalidValue("An issuer's address ends with its path.", "Take out what follows `?` or `#`.")
    if parts.hostname in MICROSOFT_HOSTS and parts.path.strip("/").partition("/")[0] in _SHARED_TENANTS:
        remedy = "Write your own tenant's id in its place: `https://login.microsoftonline.com/<tenant id>/v2.0`."
        raise InvalidValue("This issuer is shared by all companies.", remedy)
    return text.removesuffix("/.well-known/openid-configuration")


def _parse_domain(text: str) -> str:
    try:
        return parse_address(f"id@{text.casefold()}").partition("@")[2]
    except InvalidValue:
        raise InvalidValue(f"`{shorten_value(text)}` is not a domain.", "Write it as `example.com`.") from None


def _validate_texts(parse: Callable[[str], str]) -> PlainValidator:
    """Return a validator of a list of texts, each parsed."""

    def parse_all(value: object) -> tuple[str, ...]:
        if not isinstance(value, list | tuple) or not all(isinstance(entry, str) and entry.strip() for entry in value):
            raise InvalidValue("This is not a list of texts.", 'Write for example `["dana@example.com"]`, or `[]`.')
        return tuple(dict.fromkeys(parse(entry.strip()) for entry in value))

    return PlainValidator(parse_all)


_Members = Annotated[tuple[str, ...], _validate_texts(str)]


class SignInSettings(Section):
    """`operators` and `people_ops` are addresses; with `role_claim`, values of that claim.

    The secret of the client comes from the environment.
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
        """Return whose sign-in counts, and who has which role."""
        lists = {Role.OPERATOR: self.operators, Role.PEOPLE_OPS: self.people_ops}
        members = {
            role: frozenset(listed if self.role_claim else map(str.casefold, listed)) for role, listed in lists.items()
        }
        return SignInPolicy(
            issuer=self.issuer, role_claim=self.role_claim, members=members, domains=frozenset(self.domains)
        )


def make_redirect_uri(base_url: str) -> str:
    """Return the address of ours that the issuer sends browsers back to, word for word as it has to be registered."""
    return f"{base_url}/sign-in/callback"


def refuse_incomplete_sign_in(
    values: Mapping[str, Any], has_secret: bool, add_problem: Callable[[Key, str, str], None]
) -> None:
    """Add a problem for each thing that signing in needs and that is missing, and for what makes no sense without."""
    section, pages = values.get("sign_in", {}), values.get("pages", {})
    if not isinstance(section, dict) or not isinstance(pages, dict):
        return  # pydantic reports it
    if not section.get("issuer"):
        if pages.get("sign_in") == "required":
            what = "Links ask for a sign-in, and there is none."
            add_problem(("pages", "sign_in"), what, "Fill the section `[sign_in]`, or write `optional`.")
        for key in sorted(section.keys() & {"client_id", "operators", "people_ops", "role_claim", "domains"}):
            if section[key]:
                what = "This has no effect without an issuer."
                add_problem(("sign_in", key), what, "Set `sign_in.issuer`, or take the section out.")
        return
    if not section.get("client_id"):
        what = "The program's id at the issuer is missing."
        add_problem(("sign_in", "client_id"), what, "Write the client id that the issuer gave you for Longarc.")
    if not has_secret:
        what = "The program's secret at the issuer is missing."
        remedy = "Give it in the environment as LONGARC_SIGN_IN_SECRET or LONGARC_SIGN_IN_SECRET_FILE."
        add_problem(("sign_in",), what, remedy)
    if not values.get("base_url"):
        add_problem(("sign_in",), "Signing in needs pages, and there are none.", "Set `base_url`.")
    if not section.get("role_claim"):
        _refuse_values(section, add_problem)


def _refuse_values(section: Mapping[str, Any], add_problem: Callable[[Key, str, str], None]) -> None:
    """Add a problem for each member who is no address, while no claim is named that would have such values."""
    for key in ("operators", "people_ops"):
        listed = section.get(key, ())
        for member in listed if isinstance(listed, list | tuple) else ():
            try:
                parse_address(str(member))
            except InvalidValue:
                what = f"`{shorten_value(str(member))}` is not a mail address."
                add_problem(("sign_in", key), what, "Write addresses, or name the claim with roles as `role_claim`.")
