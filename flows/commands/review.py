"""`goldentwin review push | pull | status`: flagged parts to the MLflow review queue, people's verdicts back."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from flows.commands import options, terminal
from flows.commands.enrol import print_enrolled

if TYPE_CHECKING:
    from pipeline.review.estimates import Estimate
    from pipeline.review.pulling import QueueStatus, ReviewStatus
    from pipeline.review.pushing import Pushed

app = typer.Typer(no_args_is_help=True, help="Flagged parts to the MLflow review queue, people's verdicts back.")

MaybeProduct = Annotated[str | None, typer.Argument(metavar="[PRODUCT]", help="The part number; all by default.")]
MaybeView = Annotated[str | None, typer.Option("--view", metavar="VIEW", help="The camera position; all by default.")]


@app.command()
def push(
    context: typer.Context,
    product: MaybeProduct = None,
    *,
    view: MaybeView = None,
    as_json: options.Json = False,
    home: options.Home = None,
    references: options.References = None,
) -> None:
    """Put all parts that wait into the review queues: flagged ones, and the random share of those that passed.

    The nightly flow does this by itself; use it after MLflow was down. Nothing is pushed twice.
    """
    from pipeline.review.pushing import push_reviews  # noqa: PLC0415 - SQLAlchemy takes long to import

    workspace = options.workspace_of(context, home, references)
    with terminal.progress("pushing", "parts", quiet=as_json) as watcher:
        done = push_reviews(workspace, product=product, view=view, watcher=watcher)
    if as_json:
        terminal.print_json({"pushed": done.total, **asdict(done)})
        return
    print_pushed(done)


@app.command()
def pull(
    context: typer.Context,
    product: MaybeProduct = None,
    *,
    view: MaybeView = None,
    as_json: options.Json = False,
    home: options.Home = None,
    references: options.References = None,
) -> None:
    """Bring reviewers' answers back as labels, with who, when and comment. Nothing is ever taken away."""
    from pipeline.review.pulling import pull_reviews  # noqa: PLC0415 - SQLAlchemy takes long to import

    done = pull_reviews(options.workspace_of(context, home, references), product=product, view=view)
    if as_json:
        terminal.print_json(asdict(done))
        return
    terminal.say(f"{done.new} new answers, {done.answers} in all")
    if done.unknown:
        terminal.warn(f"{done.unknown} answers are of parts that these records do not hold")
    terminal.suggest(f"goldentwin review status {product or 'PRODUCT'}", "how often parts escaped, and who agrees")
    terminal.suggest(f"goldentwin calibrate {product or 'PRODUCT'} --reviewed", "a threshold from these labels")


@app.command()
def status(
    context: typer.Context,
    product: options.Product,
    *,
    view: options.View = "default",
    as_json: options.Json = False,
    home: options.Home = None,
    references: options.References = None,
) -> None:
    """Where the review stands: per night what waits and what is answered, escape and overkill estimated from it."""
    from pipeline.review.pulling import review_status  # noqa: PLC0415 - SQLAlchemy takes long to import

    found = review_status(options.workspace_of(context, home, references), product, view)
    if as_json:
        terminal.print_json(status_json(found))
    else:
        print_status(found)


@app.command()
def user(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="As the person logs in.")],
    *,
    worker: Annotated[bool, typer.Option("--worker", help="One that logs runs, instead of a reviewer.")] = False,
    as_json: options.Json = False,
    home: options.Home = None,
    references: options.References = None,
) -> None:
    """Make a user of an MLflow server with passwords, or give one the role and a new password; as an administrator.

    The password is asked for, or read from standard input: `goldentwin review user anna < anna.password`.
    """
    from pipeline.tracking.users import UserKind, add_user  # noqa: PLC0415 - only this command needs it

    workspace = options.workspace_of(context, home, references)
    kind = UserKind.WORKER if worker else UserKind.REVIEWER
    made = add_user(workspace, name, _password(name), kind)
    if as_json:
        terminal.print_json({"user": name, "kind": kind.value, "made": made})
        return
    terminal.say(f"{name} is {'a new' if made else 'now a'} {kind.value}")
    if not worker:
        terminal.suggest(f"export GOLDENTWIN_REVIEWERS=...,{name}", "where parts are pushed: queues are for these")


def _password(name: str) -> str:
    if sys.stdin.isatty():
        return str(typer.prompt(f"password of {name}", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")


def print_pushed(done: Pushed) -> None:
    """A push for people."""
    if not done.total and not done.lost:
        terminal.say("nothing waits for review")
    for queue, count in done.pushed.items():
        terminal.say(f"{count} parts in the queue {queue!r}: {done.addresses[queue]}")
    if done.lost:
        terminal.warn(f"{len(done.lost)} parts were not pushed: their pictures are gone from the home folder")


def status_json(found: ReviewStatus) -> dict[str, Any]:
    """The status for machines."""
    nights = [asdict(night) for night in found.nights]
    labels = [{**asdict(label), "decided_at": label.decided_at.isoformat()} for label in found.labels]
    return {**asdict(found), "nights": nights, "labels": labels}


def print_status(found: ReviewStatus) -> None:
    """The status for people."""
    if not found.nights:
        terminal.say(f"no part of {found.product}/{found.view} was chosen for review yet; run `goldentwin batch`")
        return
    table = terminal.plain_table(
        "queue", "waiting", "in MLflow", "labelled", "disputed", "escape", "overkill",
        right=("waiting", "in MLflow", "labelled", "disputed"),
    )  # fmt: skip
    for night in found.nights:
        table.add_row(*_cells(night))
    terminal.console().print(table)
    if aged := sum(night.aged_out for night in found.nights):
        terminal.say(f"{aged} parts were never pushed and wait no more: their pictures aged out")
    agreed = found.agreement
    if agreed.parts:
        kappa = "not defined: all said the same" if agreed.kappa is None else f"{agreed.kappa:.2f}"
        terminal.say(f"{agreed.statistic}'s kappa of {agreed.reviewers} reviewers on {agreed.parts} parts: {kappa}")
    terminal.say("escape and overkill: each reviewed part stands for those of its kind; 95 % intervals")


def _cells(night: QueueStatus) -> tuple[str, ...]:
    counts = (night.waiting, night.pushed, night.labelled, night.disputed)
    estimates = (_told(night.estimate.escape), _told(night.estimate.overkill))
    return (night.queue or f"batch {night.batch}", *map(str, counts), *estimates)


def _told(estimate: Estimate) -> str:
    middle = "?" if estimate.rate is None else f"{100 * estimate.rate:.1f} %"
    return f"{middle} ({100 * estimate.low:.1f} to {100 * estimate.high:.1f})"


@app.command()
def export(
    context: typer.Context,
    product: options.Product,
    *,
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="A new or empty folder.")],
    view: options.View = "default",
    as_json: options.Json = False,
    home: options.Home = None,
    references: options.References = None,
) -> None:
    """Write the reviewed parts as a labelled set: good/* and a folder for each type of defect."""
    from pipeline.review.exporting import export_labelled  # noqa: PLC0415 - SQLAlchemy takes long to import

    done = export_labelled(options.workspace_of(context, home, references), product, view, to)
    if as_json:
        terminal.print_json({**asdict(done), "folder": str(done.folder)})
        return
    terminal.facts({name: f"{count} parts" for name, count in sorted(done.counts.items())})
    if done.disputed or done.lost:
        terminal.warn(f"left out: {done.disputed} disputed, {done.lost} whose frame is gone or aged out")
    terminal.suggest(f"goldentwin train {product} --labelled {to}", "a network that learns from them")


@app.command()
def goldens(
    context: typer.Context,
    product: options.Product,
    *,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Enrol them; without it they are only listed, to be looked at.")
    ] = False,
    most: Annotated[int, typer.Option(min=1, max=100, help="At most so many.")] = 5,
    by: options.By = None,
    view: options.View = "default",
    as_json: options.Json = False,
    home: options.Home = None,
    references: options.References = None,
) -> None:
    """Propose false alarms as new goldens: flagged parts that all reviewers called good, the least similar first.

    A person looks at the pictures and confirms; the goldens then are a new version, which must be calibrated.
    """
    from pipeline.review.exporting import confirm_goldens, propose_goldens  # noqa: PLC0415 - SQLAlchemy takes long to import

    workspace = options.workspace_of(context, home, references)
    found = propose_goldens(workspace, product, view, most=most)
    enrolled = confirm_goldens(workspace, product, view, found, by=options.approver(by)) if confirm and found else None
    if as_json:
        rows = [{**asdict(one), "frame_file": str(one.frame_file)} for one in found]
        terminal.print_json({"proposed": rows, "enrolled": enrolled is not None})
        return
    if not found:
        terminal.say("no flagged part was called good by all its reviewers, or all that were are goldens already")
        return
    table = terminal.plain_table("part", "similarity", "reviewed by", "picture", right=("similarity",))
    for one in found:
        table.add_row(Text(one.part_id), f"{one.similarity:.3f}", ", ".join(one.reviewers), Text(str(one.frame_file)))
    terminal.console().print(table)
    named = product if view == "default" else f"{product} --view {view}"
    if enrolled is None:
        terminal.suggest(f"goldentwin review goldens {named} --confirm", "when they are good parts, well taken")
        return
    print_enrolled(enrolled)
    terminal.suggest(f"goldentwin calibrate {named} --reviewed", "the goldens changed: a firm threshold from reviews")
