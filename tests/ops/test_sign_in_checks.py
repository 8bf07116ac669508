"""`longarc check` on signing in: it requests the issuer, compares clocks, and shows what to register there."""

from datetime import timedelta

import pytest

from tests.support.companies import settings
from tests.support.issuers import serve_forging_issuer, sign_in_settings
from worker.clock import utcnow
from worker.ops.sign_in_checks import check_sign_in
from worker.providers.base import Finding

BASE_URL = "https://longarc.corp.example/base"

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:authlib")  # from the library of the issuer


def list_findings(issuer: str, clock_difference: timedelta = timedelta(0), **options: object) -> list[Finding]:
    known_settings = settings(base_url=BASE_URL, **sign_in_settings(issuer, **options))  # type: ignore[arg-type]
    return list(check_sign_in(known_settings, utcnow() - clock_difference))


def test_issuer_of_another_project_passes_all_checks(issuer: str) -> None:
    findings = list_findings(issuer, required=True)
    assert all(finding.ok and not finding.remedy for finding in findings)
    statements = " ".join(finding.statement for finding in findings)
    assert f"word for word: {BASE_URL}/sign-in/callback" in statements
    assert "2 addresses can open the operator's page (sign_in.operators)" in statements


def test_each_fault_of_an_issuer_is_reported_with_a_remedy(issuer: str) -> None:
    def join_remedies(findings: list[Finding]) -> str:
        return " ".join(f"{finding.statement} {finding.remedy}" for finding in findings if finding.remedy)

    assert "can't be reached" in join_remedies(list_findings("http://localhost:1"))
    assert "calls itself `" in join_remedies(list_findings(f"{issuer}/"))
    assert "by NTP" in join_remedies(list_findings(issuer, clock_difference=timedelta(minutes=5)))
    assert "add them to `sign_in.people_ops`" in join_remedies(list_findings(issuer, people_ops=[]))
    with serve_forging_issuer() as forger:
        forger.metadata = {"jwks_uri": None}
        assert "names no usable `jwks_uri`" in join_remedies(list_findings(forger.url))


def test_no_findings_without_a_sign_in_section() -> None:
    assert list(check_sign_in(settings(), utcnow())) == []
