"""Loads the templates of mails and pages. Each template is compiled once per process.

A company can put its own mail templates into a folder with the layout of `templates/emails`. For each file that is
missing there, ours is used. The rules of the stylesheet `_style.css` are inlined into HTML templates when they are
loaded, because many mail programs ignore stylesheets.
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

#: The name of the program in mails and pages.
PRODUCT = "Longarc"
#: The names of the three templates of a mail, which are in a folder with the mail's name.
PARTS = ("subject.txt.j2", "body.txt.j2", "body.html.j2")
STYLESHEET = "_style.css"
#: A tag of Jinja: `{{ … }}`, `{% … %}` or `{# … #}`.
_JINJA_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)


def find_template_folder() -> Path:
    """Return the folder of our own templates, which is inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    return next(folder for folder in (package / "_templates", package.parent / "templates") if folder.is_dir())


class StyledLoader(BaseLoader):
    """Loads a template from the first folder that has it, and inlines the styles of HTML. Line numbers don't change."""

    def __init__(self, *folders: Path) -> None:
        self._files = ChoiceLoader([FileSystemLoader(folder) for folder in folders])

    def get_source(self, environment: Environment, template: str) -> tuple[str, str | None, Callable[[], bool] | None]:
        source, path, _ = self._files.get_source(environment, template)
        if template.endswith(".html.j2"):
            source = self._inline_styles(environment, source)
        return source, path, None  # None: the file is not watched for changes

    def list_templates(self) -> list[str]:
        return [name for name in self._files.list_templates() if name.endswith(".j2")]

    def _inline_styles(self, environment: Environment, source: str) -> str:
        """Return the source with inlined styles.

        Jinja's tags are not HTML, so placeholders replace them while the styles are inlined.
        """
        tags: list[str] = []

        def replace_tag(match: re.Match[str]) -> str:
            tags.append(match[0])
            return f"jinja{len(tags) - 1}z"  # the `z` separates the number from a digit that follows the tag

        html = _JINJA_TAG.sub(replace_tag, source)
        is_document = html.lstrip().lower().startswith("<!doctype")
        styled = self._inliner.inline(html) if is_document else css_inline.inline_fragment(html, self._css)
        return re.sub(r"jinja(\d+)z", lambda match: tags[int(match[1])], styled)

    @cached_property
    def _css(self) -> str:
        try:
            return self._files.get_source(Environment(autoescape=True), STYLESHEET)[0]
        except TemplateNotFound:
            return ""

    @cached_property
    def _inliner(self) -> css_inline.CSSInliner:
        # The style tag in a template is kept, because it has the rules that can't be inlined, such as those for dark
        # mode.
        return css_inline.CSSInliner(
            inline_style_tags=False, keep_style_tags=True, load_remote_stylesheets=False, extra_css=self._css
        )


class CompiledTemplates(BytecodeCache):
    """Caches the compiled code of each template in memory. The environments of all languages share this code.

    The bucket's checksum changes with the template's content.
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
def _get_compiled_templates(environment_class: str, html: bool) -> CompiledTemplates:
    """Return the cache of a class of environments. Code that escapes values for HTML has a cache of its own.

    `functools.cache` keeps one of them for each combination of arguments.
    """
    return CompiledTemplates()


class MailTemplates:
    """The templates and catalogues of mails. Each is read when it is first needed, and then cached."""

    def __init__(self, overrides: Path | None = None) -> None:
        company_folders = (overrides,) if overrides else ()
        self.languages = Languages([folder / "locale" for folder in (*company_folders, find_template_folder())])
        self._loader = StyledLoader(*company_folders, find_template_folder() / "emails")
        # In the sandbox, a company's templates can access only their variables, and the size of `range` is limited.
        self._environment_class = ImmutableSandboxedEnvironment if overrides else Environment
        self._environments: dict[str, tuple[Environment, Environment]] = {}

    def get_template(self, name: str, part: str, language: Language) -> Template:
        """Return the template for one of the PARTS of the mail with that name, for that language."""
        if language.tag not in self._environments:
            self._environments[language.tag] = (
                make_environment(self._loader, language, html=False, environment_class=self._environment_class),
                make_environment(self._loader, language, html=True, environment_class=self._environment_class),
            )
        text_environment, html_environment = self._environments[language.tag]
        environment = html_environment if part.endswith(".html.j2") else text_environment
        return environment.get_template(f"{name}/{part}")


@lru_cache(1)
def load_default_templates() -> MailTemplates:
    """Return our own mail templates. They are cached, because they don't change while a process runs."""
    return MailTemplates()


def make_environment(
    loader: BaseLoader, language: Language, *, html: bool, environment_class: type[Environment] = Environment
) -> Environment:
    """Return a Jinja environment for one language. In a template, an undefined variable raises an error.

    `html`: whether values are escaped for HTML.
    """
    environment = environment_class(
        loader=loader,
        extensions=["jinja2.ext.i18n"],
        autoescape=select_autoescape(("html.j2",), default=html),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
        cache_size=-1,  # unlimited
        bytecode_cache=_get_compiled_templates(environment_class.__name__, html),
    )
    environment.policies["ext.i18n.trimmed"] = True
    gettext, ngettext = _make_translators(language, Markup if html else str)
    # This has the effect of `install_gettext_callables(newstyle=True)`, whose functions are slower: each call of them
    # creates a context.
    environment.newstyle_gettext = True  # type: ignore[attr-defined]
    environment.globals.update(gettext=gettext, ngettext=ngettext, _=gettext)
    return environment


def make_page_environment(language: Language) -> Environment:
    """Return the Jinja environment of the pages in one language, with the variables that every page has."""
    environment = make_environment(FileSystemLoader(find_template_folder() / "pages"), language, html=True)
    environment.globals.update(lang=language.tag, direction=language.direction, product=PRODUCT)
    return environment


def _make_translators(language: Language, text_type: type[str]) -> tuple[Callable[..., str], Callable[..., str]]:
    """Return `gettext` and `ngettext` for templates. With the type Markup, they escape the values, but not the text."""

    @lru_cache(None)
    def translate(message: str) -> str:
        return text_type(language.gettext(message))

    def gettext(message: str, /, **values: object) -> str:
        return translate(message) % values

    def ngettext(singular: str, plural: str, count: int, /, **values: object) -> str:
        # as in Jinja's own function, texts can show the count as `num`
        return text_type(language.select_plural(singular, plural, count)) % {"num": count, **values}

    return gettext, ngettext
