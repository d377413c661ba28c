"""`goldentwin enrol`: pictures of good parts become the goldens of a product and view."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from flows.commands import options, terminal

if TYPE_CHECKING:
    from pipeline.enrolling import Enrolled


def enrol(
    context: typer.Context,
    product: options.Product,
    more: Annotated[
        list[Path] | None, typer.Argument(metavar="MORE...", help="Further pictures or folders, after --from.")
    ] = None,
    *,
    sources: Annotated[
        list[Path],
        typer.Option("--from", metavar="DIR_OR_FILES", help="Pictures of good parts, or folders of them."),
    ],
    view: options.View = "default",
    mask: Annotated[
        Path | None, typer.Option("--mask", metavar="PNG", help="A picture that is white where to inspect.")
    ] = None,
    register: Annotated[
        options.RegistrationName | None,
        typer.Option("--register", help="How frames are brought onto the golden; auto by default."),
    ] = None,
    image_size: Annotated[
        int | None,
        typer.Option(metavar="PIXELS", help="Side that frames are resized to, 256 by default; more for fine defects."),
    ] = None,
    add: Annotated[bool, typer.Option("--add", help="Add to the current goldens instead of replacing them.")] = False,
    by: options.By = None,
    as_json: options.Json = False,
    home: options.Home = None,
    references: options.References = None,
) -> None:
    """Make pictures of good parts the goldens of a product.

    They are copied, hashed and audited; bad ones are refused by name, doubtful ones warned of. A provisional
    calibration is made from them, so that frames can be judged at once. Enrolling again makes a new version.
    """
    from pipeline.enrolling import enrol_product  # noqa: PLC0415 - torch takes seconds to import
    from pipeline.reading import list_frames  # noqa: PLC0415 - goes with it

    files = [file.path for file in list_frames([*sources, *(more or [])])]
    enrolled = enrol_product(
        options.workspace_of(context, home, references),
        product,
        view,
        files=files,
        added_by=options.approver(by),
        mask=mask,
        register=register,
        image_size=image_size,
        add=add,
    )
    if as_json:
        terminal.print_json(enrolled_json(enrolled))
    else:
        print_enrolled(enrolled)
        _suggest(product, view)


def enrolled_json(enrolled: Enrolled) -> dict[str, object]:
    """What an enrolment did, for machines."""
    found = enrolled.report.reference_set
    return {
        "product": found.product,
        "view": found.view,
        "version": found.version,
        "created": enrolled.report.created,
        "goldens": [asdict(golden) for golden in found.goldens],
        "findings": [asdict(finding) for finding in enrolled.findings],
        "reference_set": found.digest,
        "recipe": found.recipe.digest,
        "calibration": enrolled.calibration.digest,
        "threshold": enrolled.calibration.threshold,
        "provisional": enrolled.calibration.provisional,
    }


def print_enrolled(enrolled: Enrolled) -> None:
    """What an enrolment did, for people: findings first."""
    found = enrolled.report.reference_set
    for finding in enrolled.findings:
        style = "red" if finding.level.value == "refuse" else "yellow"
        word = "refused" if finding.level.value == "refuse" else "look at"
        terminal.say(Text.assemble((f"{word:8}", style), str(finding)))
    state = "" if enrolled.report.created else " (the same goldens as before)"
    terminal.facts(
        {
            "product": f"{found.product}, view {found.view}",
            "goldens": f"{len(found.goldens)}, version {found.version}{state}",
            "reference set": found.digest,
            "registration": found.recipe.registration.value,
            "threshold": terminal.threshold_text(enrolled.calibration),
        }
    )
    for warning in enrolled.calibration.warnings:
        terminal.warn(warning)


def _suggest(product: str, view: str) -> None:
    named = "" if view == "default" else f" --view {view}"
    terminal.suggest(f"goldentwin calibrate {product}{named} --labelled DIR", "a firm threshold, from labelled parts")
    terminal.suggest(f"goldentwin inspect {product}{named} FRAMES...", "verdicts now, provisional until then")
