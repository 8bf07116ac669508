"""`longarc check` tries the issuer, compares clocks, and says what to register there."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.support.companies import settings
from tests.support.issuers import serve_forging_issuer, serve_issuer, sign_in_settings
from worker.clock import utcnow
from worker.ops.sign_in_checks import check_sign_in
from worker.providers.base import Finding

BASE = "https://longarc.corp.example/base"

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:authlib")  # of the issuer that others wrote


@pytest.fixture(name="issuer")
def issuer_of_others() -> Iterator[str]:
    with serve_issuer() as url:
        yield url


def check(issuer: str, ahead: timedelta = timedelta(0), **more: object) -> list[Finding]:
    known = settings(base_url=BASE, **sign_in_settings(issuer, **more))  # type: ignore[arg-type]
    return list(check_sign_in(known, utcnow() - ahead))


def test_issuer_that_others_wrote_is_found_well(issuer: str) -> None:
    findings = check(issuer, required=True)
    assert all(finding.ok and not finding.remedy for finding in findings)
    words = " ".join(finding.statement for finding in findings)
    assert f"word for word: {BASE}/sign-in/callback" in words
    assert "2 addresses can open the operator's page (sign_in.operators)" in words


def test_what_is_wrong_with_an_issuer_is_named(issuer: str) -> None:
    def find_wrong(findings: list[Finding]) -> str:
        return " ".join(f"{finding.statement} {finding.remedy}" for finding in findings if finding.remedy)

    assert "can't be reached" in find_wrong(check("http://localhost:1"))
    assert "calls itself `" in find_wrong(check(f"{issuer}/"))
    assert "by NTP" in find_wrong(check(issuer, ahead=timedelta(minutes=5)))
    assert "add them to `sign_in.people_ops`" in find_wrong(check(issuer, people_ops=[]))
    with serve_forging_issuer() as forger:
        forger.metadata = {"jwks_uri": None}
        assert "names no usable `jwks_uri`" in find_wrong(check(forger.url))


def test_nothing_is_said_where_nobody_signs_in() -> None:
    assert list(check_sign_in(settings(), utcnow())) == []
