"""The command line `goldentwin`: one file a command, nothing heavy imported before a command runs."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

import typer
from rich.text import Text

from flows.commands import (
    audit,
    batch,
    calibrate,
    deliver,
    demo,
    deployments,
    doctor,
    enrol,
    evaluate,
    goldens,
    inspecting,
    migrate,
    options,
    promote,
    records,
    retain,
    review,
    stream,
    train,
    ui,
    versions,
    watch,
)
from flows.commands.terminal import console
from inspection.errors import GoldentwinError

DONE, FAILED = 0, 1

app = typer.Typer(
    name="goldentwin",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["--help", "-h"]},
)
app.command()(enrol.enrol)
app.command()(train.train)
app.command()(calibrate.calibrate)
app.command()(inspecting.inspect)
app.command()(evaluate.evaluate)
app.command()(batch.batch)
app.command()(stream.stream)
app.command()(versions.versions)
app.command()(versions.restore)
app.command()(promote.promote)
app.command()(promote.rollback)
app.command()(audit.audit)
app.command()(goldens.goldens)
app.command()(watch.watch)
app.add_typer(review.app, name="review")
app.command()(records.export)
app.command()(deliver.deliver)
app.command()(retain.retain)
app.command()(ui.ui)
app.command()(deployments.deployments)
app.command()(migrate.migrate)
app.command()(doctor.doctor)
app.command()(demo.demo)


@app.callback()
def goldentwin(context: typer.Context, home: options.Home = None, references: options.References = None) -> None:
    """Compare camera frames of parts with approved golden images: PASS, FLAG or CANNOT INSPECT.

    Begin with `goldentwin enrol PRODUCT --from DIR`, or see it work: `goldentwin demo`.
    """
    context.obj = (home, references)


def run(arguments: Sequence[str]) -> int:
    """Run one command and give its exit code: 0 done, 1 failed (one line on standard error), 2 wrong usage."""
    logging.lastResort = _warnings_on_stderr()
    try:
        app(list(arguments))
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else FAILED
    except (GoldentwinError, OSError) as error:
        console(stderr=True).print(Text.assemble(("error: ", "bold red"), str(error)), soft_wrap=True)
        return FAILED
    return DONE


def main() -> None:
    """The entry point of the installed command."""
    sys.exit(run(sys.argv[1:]))


def _warnings_on_stderr() -> logging.Handler:
    """What our own modules warn of, where nobody set up logging otherwise: one plain line each."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setLevel(logging.WARNING)
    handler.setFormatter(logging.Formatter("warning: %(message)s"))
    return handler
