"""Generates reference pages from the code: the settings, the events of the log, and a sample of every mail.

mkdocs runs this module through the plugin gen-files; `tests/repository/test_docs.py` tests its functions.
"""

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from worker.logs import FIELDS, Action
from worker.mail.kinds import list_samples
from worker.mail.render import MailRenderer
from worker.mail.samples import DANA, SAM

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "config" / "longarc.example.toml"
#: The two to whom the sample mails go. Others get one kind of mail each.
READERS = {DANA.email: "manager", SAM.email: "report"}
_KEY = re.compile(r"#(\w+) = (.*)")
_SECTION = re.compile(r"#?\[([\w.]+)\]")


def list_settings(text: str) -> Iterator[tuple[str, str, str, str]]:
    """Yield each key of the example settings: its section (empty at the top), name, default as written, and meaning.

    Keys that follow one another without a blank line share the comment above the first.
    """
    section, meaning, is_comment = "", list[str](), False
    for line in text.splitlines():
        if heading := _SECTION.fullmatch(line.strip()):
            section, meaning = heading[1], []
        elif key := _KEY.fullmatch(line):
            yield section, key[1], key[2], " ".join(meaning)
        elif line.startswith("# "):
            meaning = [*meaning, line.removeprefix("# ").strip()] if is_comment else [line.removeprefix("# ").strip()]
        else:
            meaning = []
        is_comment = line.startswith("# ")


def write_settings() -> str:
    """Return the page about settings: a table for each section of the example file."""
    parts = [
        "# Settings\n",
        "One TOML file: `longarc.toml`, or the one that `--config` or `LONGARC_CONFIG` names. Every key has a default.",
        "`longarc check` reports every problem at once, with file, line and remedy. Secrets come from the environment,",
        "each as `NAME` or as `NAME_FILE`: see the top of the example file that `longarc example settings` writes.\n",
    ]
    for section, keys in groupby(list_settings(EXAMPLE.read_text(encoding="utf-8")), key=lambda one: one[0]):
        parts.append(f"\n## {f'`[{section}]`' if section else 'Top level'}\n")
        parts.append("| key | default | meaning |\n|---|---|---|")
        parts += [
            f"| `{name}` | `{_escape_cell(default)}` | {_escape_cell(meaning)} |" for _, name, default, meaning in keys
        ]
    return "\n".join(parts) + "\n"


def write_log() -> str:
    """Return the page about the log: the fields of a line, and every event."""
    lines = [
        "# Log\n",
        'Longarc writes its log to standard error: for people, or with `format = "json"` under `[log]` one JSON object',
        "on each line. No line has a word of a conversation in it; a person is named by address alone, where needed.\n",
        "| field | meaning |\n|---|---|",
        "| `at` | UTC, ISO 8601 |",
        "| `level` | `debug`, `info`, `warning` or `error` |",
        "| `logger` | the module that wrote the line |",
        "| `message` | a sentence for people, which may change |",
        "| `action` | the event: one of those below. Lines that a library wrote have none |",
        *(f"| `{name}` | {meaning} |" for name, meaning in FIELDS.items()),
        "| `traceback` | of an unexpected error |",
        "\nA line has the fields that apply to it. Values of `action` are an interface: the changelog says when one",
        "changes.\n",
        "| `action` | level | meaning |\n|---|---|---|",
        *(f"| `{action.value}` | {action.level} | {_escape_cell(action.meaning)} |" for action in Action),
    ]
    return "\n".join(lines) + "\n"


def write_mails(locale: str) -> Iterator[tuple[str, str, str]]:
    """Yield a sample of each mail kind and reader: its name, its subject and its HTML body."""
    renderer = MailRenderer(sender="longarc@example.com", domain="example.com")
    seen = set()
    for sample in list_samples(locale):
        reader = READERS.get(sample.to.email, "")
        name = f"{sample.name}-{reader}" if reader else str(sample.name)
        message = renderer.render(sample)
        body = message.get_body(("html",))
        if name in seen or body is None:
            continue
        seen.add(name)
        yield name, str(message["Subject"]), body.get_content()


def _escape_cell(text: str) -> str:
    return text.replace("|", "\\|")


def write_all() -> None:
    """Write the generated pages where mkdocs finds them."""
    import mkdocs_gen_files

    with mkdocs_gen_files.open("reference/settings.md", "w") as page:
        page.write(write_settings())
    with mkdocs_gen_files.open("reference/log.md", "w") as page:
        page.write(write_log())
    lines = [
        "# Mails\n",
        "One mail of each kind and reader, filled with people who do not exist: English, then German.\n",
    ]
    for locale, title in (("en", "English"), ("de", "German")):
        lines.append(f"\n## {title}\n")
        for name, subject, html in write_mails(locale):
            with mkdocs_gen_files.open(f"reference/mails/{locale}-{name}.html", "w") as page:
                page.write(html)
            anchor = name if locale == "en" else f"{locale}-{name}"
            lines.append(f"### {subject} {{#{anchor}}}\n\n`{name}`\n")
            attributes = (
                'loading="lazy" style="width: 100%; height: 34rem; border: 1px solid #8886; border-radius: 4px"'
            )
            lines.append(
                f'<iframe src="{locale}-{name}.html" title="{_escape_attribute(subject)}" {attributes}></iframe>\n'
            )
    with mkdocs_gen_files.open("reference/mails.md", "w") as page:
        page.write("\n".join(lines))


def _escape_attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;")


if __name__ == "<run_path>":
    write_all()
