"""Follow the links in the mails of the demo, as their readers do, and keep a copy of each page as it was at that time.

The pages come from Longarc's page server, on loopback. A copy has no script, its forms can't be used, and it links to
nothing: it shows what a person saw.
"""

import http.client
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from html import escape, unescape
from pathlib import Path
from zoneinfo import ZoneInfo

from examples.northlight.people import ZONES
from worker.app import Worker
from worker.domain.model import Address
from worker.domain.reason_texts import format_short_date
from worker.links import LinkClaims, make_link_signer
from worker.web.server import PageServer

#: The public address of the pages in the settings of the demo. A proxy with TLS would stand there.
BASE_URL = "https://longarc.northlight.example"
STYLESHEET = "pages.css"

#: A link to a page in a mail: `href="https://longarc.northlight.example/in/TOKEN#times"`.
_PAGE_LINK = re.compile(rf'href="({re.escape(BASE_URL)}/in/[^"#]+)(#[^"]*)?"')
#: What copies of pages leave out, and the links that they change; links within the page (`href="#…"`) stay.
_SCRIPT = re.compile(r"<script\b.*?</script>\s*|<link rel=\"icon\"[^>]*>\s*", re.DOTALL)
_STYLESHEET_LINK = re.compile(r'(<link rel="stylesheet" href=")[^"]+(">)')
_OUTGOING_LINK = re.compile(r'(<a\b[^>]*?) href="(?!#)[^"]*"')
_IFRAME = re.compile(r"<iframe\b.*?</iframe>", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageCopy:
    """A page as its reader saw it when the mail with the link came."""

    name: str  #: the name of its file
    title: str
    html: str


@dataclass(slots=True)
class PageReader:
    """Reads the pages that mails link to, while the page server of the demo runs."""

    worker: Worker
    server: PageServer
    mail_folder: Path
    copies: dict[str, dict[str, PageCopy]] = field(default_factory=dict)  #: by Message-ID and by link
    stylesheet: str = ""
    _known: dict[tuple[str, str, str, datetime], PageCopy] = field(default_factory=dict)  #: by reader, page and time
    _names_read: set[str] = field(default_factory=set)

    def read_new_mails(self) -> None:
        """Follow the links of all mails that came since the last call."""
        names = {file.name for file in self.mail_folder.iterdir() if file.suffix == ".eml"}
        for name in sorted(names - self._names_read):
            mail = message_from_bytes((self.mail_folder / name).read_bytes(), policy=policy.default)
            links = dict.fromkeys(_list_links(mail))
            self.copies[str(mail["Message-ID"])] = {link: self._copy_page(link) for link in links}
        self._names_read |= names

    def _copy_page(self, link: str) -> PageCopy:
        """Return the copy of a page. Links of one person to the same page at the same time share a copy."""
        claims = self._read_claims(link)
        now = self.worker.clock()
        key = (claims.person, claims.purpose.value, claims.subject_id, now)
        if key not in self._known:
            name = f"{len(self._known) + 1:03}-{claims.person.partition('@')[0]}-{claims.purpose.value}.html"
            self._known[key] = self._make_copy(name, claims.person, self._open_page(link), now)
        return self._known[key]

    def _read_claims(self, link: str) -> LinkClaims:
        settings = self.worker.settings
        signer = make_link_signer(settings.base_url, [key.get_secret_value() for key in settings.keys])
        if signer is None:
            raise LookupError("The demo has no pages.")
        return signer.read_claims(link.rpartition("/")[2])

    def _make_copy(self, name: str, reader: Address, html: str, now: datetime) -> PageCopy:
        title = re.search(r"<title>(.*?)</title>", html, re.DOTALL)
        local = now.astimezone(ZoneInfo(ZONES[reader]))
        note = f"A copy of the page as it was on {format_short_date(local.date())} {local:%Y}, {local:%H:%M}."
        html = _IFRAME.sub("", _OUTGOING_LINK.sub(r"\1", _SCRIPT.sub("", html)))
        html = _STYLESHEET_LINK.sub(rf"\g<1>{STYLESHEET}\g<2>", html).replace("<form ", "<form inert ")
        html = html.replace('<main id="main"', f'<p class="top quiet">{escape(note)}</p>\n<main id="main"', 1)
        return PageCopy(name=name, title=unescape(title[1]).partition(" · ")[0].strip() if title else name, html=html)

    def _open_page(self, link: str) -> str:
        """Follow a link, which sets a cookie and redirects, and return the HTML of its page. Raises LookupError."""
        entry = self._get(link.removeprefix(BASE_URL))
        cookie = str(entry.headers["Set-Cookie"]).partition(";")[0]
        page = self._get(str(entry.headers["Location"]), cookie)
        while page.status == http.client.SEE_OTHER:  # without a contract, the page for it redirects to the form
            page = self._get(str(page.headers["Location"]), cookie)
        if page.status != http.client.OK:
            raise LookupError(f"A link in a mail leads to status {page.status}.")
        html = page.body.decode()
        if not self.stylesheet:
            style = re.search(r'<link rel="stylesheet" href="([^"]+)"', html)
            self.stylesheet = self._get(unescape(style[1])).body.decode() if style else ""
        return html

    def _get(self, path: str, cookie: str = "") -> "_Answer":
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        try:
            connection.request("GET", path, headers={"Cookie": cookie} if cookie else {})
            response = connection.getresponse()
            return _Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


def write_copies(reader: PageReader, out: Path) -> None:
    """Write the pages and their stylesheet to the folder `pages` in `out`."""
    folder = out / "pages"
    folder.mkdir()
    (folder / STYLESHEET).write_text(reader.stylesheet, encoding="utf-8")
    for copies in reader.copies.values():
        for copy in copies.values():
            (folder / copy.name).write_text(copy.html, encoding="utf-8")


def point_to_copies(html: str, copies: Mapping[str, PageCopy], folder: str) -> str:
    """Return the mail with its links leading to the copies in `folder`, a relative path."""

    def replace_link(match: re.Match[str]) -> str:
        copy = copies.get(unescape(match[1]))
        return f'href="{folder}/{copy.name}"' if copy else ""

    return _PAGE_LINK.sub(replace_link, html)


def _list_links(mail: EmailMessage) -> Iterator[str]:
    part = mail.get_body(("html",))
    for match in _PAGE_LINK.finditer(str(part.get_content()) if part else ""):
        yield unescape(match[1])
