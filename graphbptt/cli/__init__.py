"""The command ``graphbptt``: a file for each subcommand, and one place where errors become messages.

Exit codes: 0 done; 1 gradients do not agree, or the C compiler of a backend asked for by name fails; 2 usage or spec;
3 data; 4 diverged; 130 interrupted; 143 terminated (SIGTERM, which ends a command as an interrupt does).
Subcommands import what they need when they run, so that ``graphbptt --help`` starts at once.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from graphbptt.cli.backends import backends
from graphbptt.cli.check import check
from graphbptt.cli.evaluate import evaluate
from graphbptt.cli.explain import explain
from graphbptt.cli.train import train
from graphbptt.errors import DataError, GraphbpttError, SpecError

__all__ = ["graphbptt", "main", "run"]

INTERRUPTED = 130
"""What a shell reports for a command that an interrupt ended."""

TERMINATED = 143
"""The same for one that was told to terminate."""


class Terminated(BaseException):
    """The process was told to terminate; what an interrupt would keep is kept."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="graphbptt")
def graphbptt() -> None:
    """Compile recurrent networks declared as graphs, train them, and look inside."""


for command in (train, check, explain, evaluate, backends):
    graphbptt.add_command(command)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code; what a user did wrong is said on standard error."""
    try:
        code = graphbptt.main(arguments, prog_name="graphbptt", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except Terminated:
        click.echo("terminated", err=True)
        return TERMINATED
    except GraphbpttError as error:
        click.echo(str(error), err=True)
        return error.exit_code
    except OSError as error:
        said = error.strerror or str(error)
        click.echo(f"{error.filename}: {said}" if error.filename else said, err=True)
        return SpecError.exit_code
    except MemoryError as error:
        click.echo(f"not enough memory: {error}; use fewer examples, steps or units", err=True)
        return DataError.exit_code
    return code if isinstance(code, int) else 0


def main() -> None:
    """The entry point of the installed command."""
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminate)
    code = run()
    try:
        sys.stdout.flush()
    except OSError:
        # What could not be written has been reported; at exit Python would try, and report, once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def _terminate(_number: int, _frame: Any) -> NoReturn:
    raise Terminated
