"""`longarc completion` and `longarc man`: print a completion script and a manual page, made from the commands' help."""

import re
from collections.abc import Iterator
from typing import Any, cast

import click

from worker import __version__
from worker.commands.base import Command

SHELLS = ("bash", "zsh", "fish")
#: The environment variable with which the completion script asks the program for completions.
_COMPLETE_VARIABLE = "_LONGARC_COMPLETE"
#: Options of every command, which the manual page describes only once.
_COMMON_OPTIONS = {"config", "debug", "help"}


@click.command("completion", cls=Command, short_help="Print the script that completes commands in your shell.")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that completes the commands and options of longarc in a shell.

    \b
    bash: longarc completion bash > ~/.local/share/bash-completion/completions/longarc
    zsh:  longarc completion zsh > a folder of $fpath, as _longarc
    fish: longarc completion fish > ~/.config/fish/completions/longarc.fish
    """
    from click.shell_completion import get_completion_class

    root = context.find_root()
    completer: Any = get_completion_class(shell)  # click has one for each of SHELLS
    click.echo(completer(root.command, {}, "longarc", _COMPLETE_VARIABLE).source())


@click.command("man", cls=Command, short_help="Print the manual page.")
@click.pass_context
def man(context: click.Context) -> None:
    """Print the manual page, for man(1).

    \b
    Read it:    longarc man | man -l -
    Install it: longarc man > /usr/local/share/man/man1/longarc.1
    """
    click.echo("\n".join(write_manual(context.find_root().command)))


def write_manual(main: click.Command) -> Iterator[str]:
    """Yield the lines of the manual page in roff: every command with its options and help."""
    root = click.Context(main, info_name="longarc")
    yield f'.TH LONGARC 1 "" "longarc {__version__}" "Longarc"'
    yield from (".SH NAME", rf"longarc \- {_escape(_make_phrase(main.help or ''))}")
    yield from (".SH SYNOPSIS", r".B longarc", _escape("[--config FILE] COMMAND [OPTIONS] [ARGUMENTS]"))
    yield from (".SH DESCRIPTION", _escape("Every command takes --config FILE, --debug and --help."))
    yield ".SH COMMANDS"
    for context in _list_commands(root):
        yield from _write_command(context)
    yield from (".SH EXIT STATUS", _escape("0 done, 1 failed, 2 misused."))
    yield ".SH ENVIRONMENT"
    for variable, meaning in _VARIABLES:
        yield from (".TP", rf".B {_escape(variable)}", _escape(meaning))
    yield from (".SH FILES", ".TP", r".B longarc.toml", _escape("The settings; `longarc example settings` writes one."))


#: The environment variables of every command, with their meaning.
_VARIABLES = (
    ("LONGARC_CONFIG", "The settings file, where --config names none."),
    ("LONGARC_KEY, LONGARC_KEY_FILE", "The key that seals what people write, or the file that holds it."),
    (
        "LONGARC_DATABASE_URL, LONGARC_DATABASE_URL_FILE",
        "The URL of the database, or the file that holds it, in place of the setting: for a URL with a password.",
    ),
)


def _list_commands(parent: click.Context) -> Iterator[click.Context]:
    """Yield the context of each visible command below the parent, at any depth, except the groups themselves."""
    group = cast(click.Group, parent.command)
    for name in group.list_commands(parent):
        command = group.get_command(parent, name)
        if command is None or command.hidden:
            continue
        context = click.Context(command, info_name=name, parent=parent)
        if isinstance(command, click.Group):
            yield from _list_commands(context)
        else:
            yield context


def _write_command(context: click.Context) -> Iterator[str]:
    """Yield the lines about one command in roff: its usage, its help and its own options."""
    command = context.command
    usage = " ".join(command.collect_usage_pieces(context))
    yield rf".SS {_escape(f'{context.command_path} {usage}')}"
    yield from _write_help(command.help or "")
    for option in command.get_params(context):
        record = option.get_help_record(context) if isinstance(option, click.Option) else None
        if record and option.name not in _COMMON_OPTIONS:
            yield from (".TP", rf".B {_escape(record[0])}", _escape(record[1]))


def _write_help(text: str) -> Iterator[str]:
    """Yield the lines of a help text in roff. A paragraph that begins with \\b keeps its line breaks, as click does."""
    for number, paragraph in enumerate(re.split(r"\n\s*\n", text.strip())):
        lines = [line.strip() for line in paragraph.splitlines()]
        if number:
            yield ".PP"
        if lines[0] == "\b":
            yield from (".nf", *map(_escape, lines[1:]), ".fi")
        else:
            yield _escape(" ".join(lines))


def _escape(text: str) -> str:
    """Escape a text, so that roff shows it unchanged: with plain hyphens, and no control character at its beginning."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq").replace("`", r"\(ga")
    return rf"\&{escaped}" if escaped.startswith(".") else escaped


def _make_phrase(text: str) -> str:
    """Return a sentence as a phrase: with a small letter at the beginning, and no full stop."""
    return text[:1].lower() + text[1:].rstrip(".")
