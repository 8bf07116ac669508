"""Where templates come from, and how they are made ready once so that a mail costs little.

A company puts its own files into a folder laid out like `templates/emails`; whatever isn't there comes from us. HTML
templates are written with a stylesheet beside them, `_style.css`, whose rules are moved into the tags when a template
is first loaded, since many mail programs ignore stylesheets.
"""

import re
from collections.abc import Callable
from functools import cache, cached_property, lru_cache
from pathlib import Path
from types import CodeType

import css_inline
from jinja2 import (
    BaseLoader,
    BytecodeCache,
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    StrictUndefined,
    Template,
    TemplateNotFound,
    select_autoescape,
)
from jinja2.bccache import Bucket
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from worker.i18n.language import Language, Languages

#: What makes a mail, in a folder of the message's name.
PARTS = ("subject.txt.j2", "body.txt.j2", "body.html.j2")
STYLESHEET = "_style.css"
_JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)


def find_template_folder() -> Path:
    """Our own templates: inside the installed package, else beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    return next(found for found in (package / "_templates", package.parent / "templates") if found.is_dir())


class StyledLoader(BaseLoader):
    """Files of the first folder that has them; HTML comes with its styles in the tags, line by line as written."""

    def __init__(self, *folders: Path) -> None:
        self._files = ChoiceLoader([FileSystemLoader(one) for one in folders])

    def get_source(self, environment: Environment, template: str) -> tuple[str, str | None, Callable[[], bool] | None]:
        source, path, _ = self._files.get_source(environment, template)
        return (self._inline_styles(environment, source) if template.endswith(".html.j2") else source), path, None

    def list_templates(self) -> list[str]:
        return [name for name in self._files.list_templates() if name.endswith(".j2")]

    def _inline_styles(self, environment: Environment, source: str) -> str:
        """The source with styles inlined. What Jinja reads is taken out meanwhile: it isn't HTML yet."""
        taken: list[str] = []

        def take(found: re.Match[str]) -> str:
            taken.append(found[0])
            return f"jinja{len(taken) - 1}z"

        bare = _JINJA.sub(take, source)
        whole = bare.lstrip().lower().startswith("<!doctype")
        styled = self._inliner.inline(bare) if whole else css_inline.inline_fragment(bare, self._css)
        return re.sub(r"jinja(\d+)z", lambda found: taken[int(found[1])], styled)

    @cached_property
    def _css(self) -> str:
        try:
            return self._files.get_source(Environment(autoescape=True), STYLESHEET)[0]
        except TemplateNotFound:
            return ""

    @cached_property
    def _inliner(self) -> css_inline.CSSInliner:
        # A style tag of the page itself stays where it is: it holds what can't be inlined, such as dark colours.
        return css_inline.CSSInliner(
            inline_style_tags=False, keep_style_tags=True, load_remote_stylesheets=False, extra_css=self._css
        )


class CompiledTemplates(BytecodeCache):
    """Keeps what each template was compiled to while the process lives: no language compiles it again.

    The code knows nothing of a language. It belongs to one file with one content.
    """

    def __init__(self) -> None:
        self._codes: dict[str, tuple[str, CodeType]] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        checksum, code = self._codes.get(bucket.key, ("", None))
        if checksum == bucket.checksum:
            bucket.code = code

    def dump_bytecode(self, bucket: Bucket) -> None:
        if bucket.code is not None:
            self._codes[bucket.key] = bucket.checksum, bucket.code


@cache
def _get_compiled_templates(kind: str, html: bool) -> CompiledTemplates:
    """The compiled templates of one kind of environment: the code depends on whether it is a sandbox and escapes."""
    return CompiledTemplates()


class MailTemplates:
    """The templates and catalogues of mails, each read when it is first needed, and kept."""

    def __init__(self, overrides: Path | None = None) -> None:
        first = (overrides,) if overrides else ()
        self.languages = Languages([one / "locale" for one in (*first, find_template_folder())])
        self._loader = StyledLoader(*first, find_template_folder() / "emails")
        # What others wrote reaches nothing but what a mail may speak of, and counts no further than a mail could need.
        self._kind = ImmutableSandboxedEnvironment if overrides else Environment
        self._environments: dict[str, tuple[Environment, Environment]] = {}

    def get_template(self, name: str, part: str, words: Language) -> Template:
        """One of the PARTS of that message."""
        if words.tag not in self._environments:
            plain, rich = (make_environment(self._loader, words, html=html, kind=self._kind) for html in (False, True))
            self._environments[words.tag] = plain, rich
        text, html = self._environments[words.tag]
        return (html if part.endswith(".html.j2") else text).get_template(f"{name}/{part}")


@lru_cache(1)
def load_default_templates() -> MailTemplates:
    """Those that come with us. They don't change, so a process reads them once."""
    return MailTemplates()


def make_environment(
    loader: BaseLoader, words: Language, *, html: bool, kind: type[Environment] = Environment
) -> Environment:
    """Templates that speak one language. A name that doesn't exist is an error, never an empty place in a mail."""
    made = kind(
        loader=loader,
        extensions=["jinja2.ext.i18n"],
        autoescape=select_autoescape(("html.j2",), default=html),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
        cache_size=-1,
        bytecode_cache=_get_compiled_templates(kind.__name__, html),
    )
    made.policies["ext.i18n.trimmed"] = True
    gettext, ngettext = _make_translators(words, Markup if html else str)
    # As with `install_gettext_callables(newstyle=True)`, whose own functions make a context anew for each sentence.
    made.newstyle_gettext = True  # type: ignore[attr-defined]
    made.globals.update(gettext=gettext, ngettext=ngettext, _=gettext)
    return made


def _make_translators(words: Language, kind: type[str]) -> tuple[Callable[..., str], Callable[..., str]]:
    """The look-ups for templates: a translation is trusted, what is filled into it is escaped when `kind` escapes."""

    @lru_cache(None)
    def sentence(message: str) -> str:
        return kind(words.gettext(message))

    def gettext(message: str, /, **values: object) -> str:
        return sentence(message) % values

    def ngettext(one: str, many: str, count: int, /, **values: object) -> str:
        return kind(words.select_plural(one, many, count)) % {"num": count, **values}

    return gettext, ngettext
