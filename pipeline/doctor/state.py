"""What goldentwin keeps: home folder, records, products, outbox."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from inspection.errors import GoldentwinError
from pipeline.doctor.finding import Finding, fail, ok, warn, with_remedy
from pipeline.secret_files import without_password
from pipeline.workspace import Workspace

GIGABYTE = 10**9
LITTLE_BYTES = 5 * GIGABYTE
TOO_LITTLE_BYTES = GIGABYTE // 2
OTHER_HOME = "name another folder with --home or GOLDENTWIN_HOME"


def examine_home(workspace: Workspace) -> list[Finding]:
    """Whether state can be written, tried by writing."""
    home = workspace.home
    place = _nearest_folder(home)
    if home.exists() and not home.is_dir():
        return [fail("home", f"{home} is no folder", OTHER_HOME)]
    try:
        if place == home:
            with tempfile.TemporaryFile(dir=home) as file:
                file.write(b"goldentwin")
        elif not os.access(place, os.W_OK | os.X_OK):
            return [fail("home", f"{home} can't be made: {place} is not writable", OTHER_HOME)]
    except OSError as error:
        return [
            fail("home", f"{home} can't be written: {error.strerror or error}", f"make it writable, or {OTHER_HOME}")
        ]
    return [ok("home", f"{home}" if place == home else f"{home}, made when first used")]


def examine_disk(workspace: Workspace) -> list[Finding]:
    """Whether there is room for verdicts, evidence pictures and MLflow's artifacts."""
    free = shutil.disk_usage(_nearest_folder(workspace.home)).free
    detail = f"{free / GIGABYTE:.1f} GB free for {workspace.home}"
    remedy = f"goldentwin retain removes what has had its days; shorten those in {workspace.retention}, or {OTHER_HOME}"
    if free < TOO_LITTLE_BYTES:
        return [fail("disk", detail, remedy)]
    return [warn("disk", detail, remedy)] if free < LITTLE_BYTES else [ok("disk", detail)]


def examine_records(workspace: Workspace) -> list[Finding]:
    """Whether the database of verdicts can be opened, and which schema it has. Nothing is made or upgraded."""
    url = workspace.records_url
    embedded = workspace.home / "records.db"
    own = not os.environ.get("GOLDENTWIN_DATABASE_URL")
    if own and not embedded.exists():
        return [ok("records", f"SQLite at {embedded}, made with the first verdict")]
    from pipeline.records import examine_schema  # noqa: PLC0415 - may be broken
    from pipeline.records.migrating import NONE  # noqa: PLC0415 - goes with it

    try:
        found, newest = examine_schema(url)
    except GoldentwinError as error:
        return [fail("records", *with_remedy(error, OTHER_HOME))]
    if own and not os.access(embedded, os.W_OK):
        return [fail("records", f"{embedded} can't be written", "make the file writable for this user")]
    place = f"SQLite at {embedded}" if own else without_password(url)
    if found == newest:
        return [ok("records", f"{place}, schema {found}, the newest")]
    if found == NONE:
        return [ok("records", f"{place}, empty, its tables are made with the first verdict")]
    detail = f"{place}, schema {found} of an earlier goldentwin; this one needs {newest}"
    return [warn("records", detail, "goldentwin migrate, or leave it to the next command that opens the records")]


def examine_products(workspace: Workspace) -> list[Finding]:
    """Every enrolled product and view: whole, in which version, calibrated or not."""
    from inspection.reference_set import list_enrolled  # noqa: PLC0415 - imports OpenCV, which may be broken

    enrolled = list_enrolled(workspace.references)
    if not enrolled:
        detail = f"none enrolled in {workspace.references}"
        return [warn("products", detail, "goldentwin enrol PRODUCT --from DIR, or --references DIR to look elsewhere")]
    return [_examine_product(workspace, product, view) for product, view in enrolled]


def _examine_product(workspace: Workspace, product: str, view: str) -> Finding:
    from inspection.reference_set import load_reference_set  # noqa: PLC0415 - imports OpenCV, which may be broken

    name = f"{product}/{view}"
    try:
        goldens = load_reference_set(workspace.references, product, view)
        grounds = (goldens.digest, goldens.recipe.digest)
    except GoldentwinError as error:
        return fail(name, *with_remedy(error, f"goldentwin enrol {product} --view {view} --from DIR"))
    weights = goldens.recipe.encoder.weights
    if weights is not None and not os.access(weights, os.R_OK):
        return fail(name, f"the encoder's weights {weights} can't be read", "put the file there, or mend the recipe")
    detail = f"version {goldens.version}, {len(goldens.goldens)} {'golden' if len(goldens.goldens) == 1 else 'goldens'}"
    bound = _calibrations_for(workspace.calibrations / product / view, grounds)
    if False in bound:
        return ok(name, f"{detail}, calibrated")
    remedy = f"goldentwin calibrate {product} --view {view} --labelled DIR"
    return warn(name, f"{detail}, {'calibrated provisionally only' if bound else 'not calibrated'}", remedy)


def _calibrations_for(folder: Path, grounds: tuple[str, str]) -> set[bool]:
    """Of the calibrations bound to these goldens and this recipe: which kinds there are (provisional or not)."""
    from inspection.calibration import Calibration  # noqa: PLC0415 - imports SciPy, which may be broken

    found = set()
    for path in folder.glob("*.json"):
        try:
            calibration = Calibration.from_json(path.read_text(encoding="utf-8"))
        except (GoldentwinError, OSError, ValueError):
            continue  # the pointer to the current one, or damaged, which counts as not there
        if (calibration.binding.reference_set, calibration.binding.recipe) == grounds:
            found.add(calibration.provisional)
    return found


def examine_outbox(workspace: Workspace) -> list[Finding]:
    """How much waits to be delivered to MLflow, and how much was refused."""
    from pipeline.outbox import REASON_FILE, REJECTED, waiting  # noqa: PLC0415 - may be broken

    refused = list(workspace.outbox.glob(f"{REJECTED}/*/{REASON_FILE}"))
    if refused:
        detail = f"{_entries(len(refused))} refused by MLflow, in {workspace.outbox / REJECTED}"
        return [
            warn("outbox", detail, f"read {REASON_FILE} beside each; move it back to {workspace.outbox}, or delete it")
        ]
    if count := len(waiting(workspace)):
        remedy = "start MLflow if it is down; they go with the next batch or calibration"
        return [warn("outbox", f"{_entries(count)} waiting for MLflow in {workspace.outbox}", remedy)]
    return [ok("outbox", "nothing waits for MLflow")]


def _entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count} entries"


def _nearest_folder(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.is_dir())
