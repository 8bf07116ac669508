"""Base classes of all commands: they add `--config` and `--debug`, and print errors as clear lines.

A LongarcError is shown with its text. Of any other error only the type is shown, since its text may repeat content
of a conversation; `--debug` shows the whole traceback.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from io import TextIOWrapper
from itertools import pairwise
from typing import Any, cast

import click

from worker.commands import output
from worker.errors import Problems, describe_error
from worker.private_files import restrict_to_owner

STOPPED_TEXT = "Stopped; nothing more was done."


@dataclass(slots=True)
class GlobalOptions:
    """The values of `--config` and `--debug`, given before or after the name of the command."""

    config: str = ""
    debug: bool = False


class CommandFailed(click.ClickException):
    """Ends a command with exit code 1 and these lines on standard error."""

    exit_code = 1

    def show(self, file: Any = None) -> None:
        for line in self.message.splitlines():
            click.echo(make_printable(line), err=True)


def make_printable(text: str) -> str:
    """Replace the characters that would move the cursor of a terminal or change its colours."""
    return "".join(char if char.isprintable() or char in "\n\t" else "\ufffd" for char in text)


def get_global_options() -> GlobalOptions:
    """Return the global options of the running command."""
    return click.get_current_context().ensure_object(GlobalOptions)


def _set_config(context: click.Context, _: click.Parameter, value: str | None) -> None:
    options = context.ensure_object(GlobalOptions)
    # Both `longarc` and its commands take the option. Where it is missing, the value from the other place is kept.
    options.config = value or options.config


def _set_debug(context: click.Context, _: click.Parameter, value: bool) -> None:
    options = context.ensure_object(GlobalOptions)
    options.debug = value or options.debug


def _make_global_options() -> list[click.Parameter]:
    """Create `--config` and `--debug` anew, for one command."""
    config = "The settings file. Default: LONGARC_CONFIG, then ./longarc.toml, then built-in defaults."
    debug = "Show errors with their traceback."
    return [
        click.Option(["--config"], metavar="FILE", expose_value=False, callback=_set_config, help=config),
        click.Option(["--debug"], is_flag=True, expose_value=False, callback=_set_debug, help=debug),
    ]


class Command(click.Command):
    """A command that also takes `--config` and `--debug`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += _make_global_options()


class CommandGroup(click.Group):
    """A group whose commands also take `--config` and `--debug`."""

    command_class = Command

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += _make_global_options()


CommandGroup.group_class = CommandGroup


class MainGroup(CommandGroup):
    """The command `longarc`. It turns errors into exit codes, and lists its commands by chapter in its help."""

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
        if isinstance(sys.stdout, TextIOWrapper):  # characters that the terminal can't show become \uXXXX
            sys.stdout.reconfigure(errors="backslashreplace")
        run = partial(super().main, args, prog_name, complete_var, standalone_mode=False, **extra)
        if not standalone_mode:
            return run()
        output.reserve_stream_numbers()
        print_error = partial(click.echo, err=True)
        try:
            with restrict_to_owner():
                code = run_for_exit_code(run)
        except Exception:  # only with --debug: the interpreter shows the traceback
            output.flush_for_exit_code(1, print_error)
            raise
        sys.exit(output.flush_for_exit_code(code, print_error))

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        refuse_invalid_text(args)

        def make() -> click.Context:
            output.refuse_closed_stdout()  # called here, so that `convert_errors` makes its error one clear line
            return super(MainGroup, self).make_context(info_name, args, parent, **extra)

        return cast(click.Context, convert_errors(GlobalOptions(), make))

    def invoke(self, ctx: click.Context) -> Any:
        return convert_errors(ctx.ensure_object(GlobalOptions), lambda: super(MainGroup, self).invoke(ctx))

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [str(command.name) for commands in self._chapters.values() for command in commands]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, self.list_commands(ctx)))
        for title, commands in self._chapters.items():
            with formatter.section(title):
                formatter.write_dl(
                    [(f"{command.name:<{width}}", command.get_short_help_str(limit=90)) for command in commands]
                )


def refuse_invalid_text(args: Sequence[str]) -> None:
    """Raise UsageError for an argument that is not valid text, and for an option with an empty value.

    No file and no mail could contain such a text. An option such as `--person "$P"` gets an empty value when the
    variable is not set, and must not be taken for a missing option, which often means everybody.
    """
    for number, (previous, argument) in enumerate(pairwise(("", *args)), 1):
        # Python puts a surrogate in place of each byte of an argument that is not UTF-8.
        if any("\ud800" <= char <= "\udfff" for char in argument):
            raise click.UsageError(f"Argument {number} is not UTF-8 text. Write it again.")
        empty_option = previous if not argument else argument.removesuffix("=") if argument.endswith("=") else ""
        if empty_option.startswith("--") and "=" not in empty_option:
            raise click.UsageError(f"{empty_option} is empty. Write its value, or leave the option out.")


def run_for_exit_code(run: Callable[[], Any]) -> int:
    """Run the command, print its error to standard error, and return the exit code."""
    error: click.ClickException
    try:
        result = run()
        return result if isinstance(result, int) else 0  # click returns the code of `Context.exit` as the result
    except SystemExit as exited:
        return exited.code if isinstance(exited.code, int) else 1
    except click.Abort:
        error = CommandFailed(STOPPED_TEXT)
    except click.ClickException as failure:
        error = failure
    with suppress(OSError):
        error.show()
    return error.exit_code


def convert_errors(options: GlobalOptions, work: Callable[[], Any]) -> Any:
    """Call `work` and return its result.

    An error that click doesn't know is raised as CommandFailed, which prints it to standard error; with `--debug` it is
    raised unchanged, so that its traceback is printed.
    """
    try:
        return work()
    except (click.ClickException, click.exceptions.Exit, BrokenPipeError):
        raise
    except click.Abort:
        raise CommandFailed(STOPPED_TEXT) from None
    except Exception as error:
        if options.debug:
            raise
        raise CommandFailed(describe_failure(error)) from error


def describe_failure(error: Exception) -> str:
    """Return the text of an error, as it is printed to standard error.

    Problems of a file are printed as they are, each on a line that begins with the file. Any other error gets a prefix.
    """
    return str(error) if isinstance(error, Problems) else f"longarc: {describe_error(error)}"
