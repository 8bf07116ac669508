"""What every command has: `--config` and `--debug` before or after its name, and errors as clear lines.

An error of ours is shown in its own words. Of any other only the kind is shown, since its words may repeat what two
people said to each other; `--debug` shows it whole.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from io import TextIOWrapper
from typing import Any, cast

import click

from worker.commands import output
from worker.errors import Problems, describe_error
from worker.private_files import restrict_to_owner

STOPPED_TEXT = "Stopped; nothing more was done."


@dataclass(slots=True)
class GlobalOptions:
    """What was said before the command or after it."""

    config: str = ""
    debug: bool = False


class CommandFailed(click.ClickException):
    """Ends a command with exit code 1 and these lines on standard error."""

    exit_code = 1

    def show(self, file: Any = None) -> None:
        for line in self.message.splitlines():
            click.echo(make_printable(line), err=True)


def make_printable(text: str) -> str:
    """The text without signs that would move a terminal's cursor or colour it."""
    return "".join(sign if sign.isprintable() or sign in "\n\t" else "\ufffd" for sign in text)


def get_global_options() -> GlobalOptions:
    """What was said to this run of the program."""
    return click.get_current_context().ensure_object(GlobalOptions)


def _set_config(context: click.Context, _: click.Parameter, value: str | None) -> None:
    told = context.ensure_object(GlobalOptions)
    told.config = value or told.config


def _set_debug(context: click.Context, _: click.Parameter, value: bool) -> None:
    told = context.ensure_object(GlobalOptions)
    told.debug = value or told.debug


def _make_global_options() -> list[click.Parameter]:
    """The options that every command takes."""
    words = "The settings; else LONGARC_CONFIG, else longarc.toml where you are, else defaults."
    debug = "Show errors whole, with where they come from."
    return [
        click.Option(["--config"], metavar="FILE", expose_value=False, callback=_set_config, help=words),
        click.Option(["--debug"], is_flag=True, expose_value=False, callback=_set_debug, help=debug),
    ]


class Command(click.Command):
    """A command with the options that every command takes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += _make_global_options()


class CommandGroup(click.Group):
    """A group whose commands take those options too."""

    command_class = Command

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += _make_global_options()


CommandGroup.group_class = CommandGroup


class MainGroup(CommandGroup):
    """The whole program: tells errors, and lists its commands by what they are for."""

    def __init__(self, *args: Any, chapters: Mapping[str, Sequence[click.Command]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._chapters = chapters
        for commands in chapters.values():
            for command in commands:
                self.add_command(command)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        if isinstance(sys.stdout, TextIOWrapper):  # what a terminal has no sign for is told by its number
            sys.stdout.reconfigure(errors="backslashreplace")
        run = partial(super().main, args, prog_name, complete_var, standalone_mode=False, **extra)
        if not standalone_mode:
            return run()
        output.open_missing_streams()
        say = partial(click.echo, err=True)
        try:
            with restrict_to_owner():
                code = run_for_exit_code(run)
        except Exception:  # with --debug alone; the interpreter shows it
            output.flush_streams(1, say)
            raise
        sys.exit(output.flush_streams(code, say))

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        refuse_invalid_text(args)

        def begin() -> click.Context:
            output.refuse_closed_stdout()
            return super(MainGroup, self).make_context(info_name, args, parent, **extra)

        return cast(click.Context, convert_errors(GlobalOptions(), begin))

    def invoke(self, ctx: click.Context) -> Any:
        return convert_errors(ctx.ensure_object(GlobalOptions), lambda: super(MainGroup, self).invoke(ctx))

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [str(command.name) for commands in self._chapters.values() for command in commands]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, self.list_commands(ctx)))
        for title, commands in self._chapters.items():
            with formatter.section(title):
                formatter.write_dl([(f"{one.name:<{width}}", one.get_short_help_str(limit=90)) for one in commands])


def refuse_invalid_text(args: Sequence[str]) -> None:
    """Raises UsageError for an argument of bytes that stand for no text here: no file and no mail could hold it."""
    for number, one in enumerate(args, 1):
        if any("\ud800" <= sign <= "\udfff" for sign in one):
            raise click.UsageError(f"Argument {number} is no text in UTF-8. Write it again.")


def run_for_exit_code(run: Callable[[], Any]) -> int:
    """How the command ended, with what went wrong said on standard error where that takes it."""
    error: click.ClickException
    try:
        result = run()
        return result if isinstance(result, int) else 0
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except click.Abort:
        error = CommandFailed(STOPPED_TEXT)
    except click.ClickException as failure:
        error = failure
    with suppress(OSError):
        error.show()
    return error.exit_code


def convert_errors(told: GlobalOptions, work: Callable[[], Any]) -> Any:
    """Do the work; what goes wrong becomes lines on standard error and exit code 1."""
    try:
        return work()
    except (click.ClickException, click.exceptions.Exit, BrokenPipeError):
        raise
    except click.Abort:
        raise CommandFailed(STOPPED_TEXT) from None
    except Exception as error:
        if told.debug:
            raise
        raise CommandFailed(describe_failure(error)) from error


def describe_failure(error: Exception) -> str:
    """What went wrong, as standard error tells it."""
    return str(error) if isinstance(error, Problems) else f"longarc: {describe_error(error)}"
