"""Plan a batch: which frames have no verdict yet on the current grounds, in chunks, as a whole or as a shard of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from inspection.errors import CalibrationError, UnreadableImageError
from inspection.recipe import digest_of
from inspection.verdicts import Provenance
from pipeline.open_batches import open_batch
from pipeline.opening import keep_inspector
from pipeline.reading import FrameFile, read_bytes
from pipeline.records import VerdictRecords
from pipeline.sharding import WHOLE, Shard
from pipeline.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inspection.inspector import Inspector


@dataclass(frozen=True, kw_only=True)
class BatchPlan:
    """What is to be judged: `chunks` of frames without a verdict on the grounds of `provenance`.

    `batch` is the same for the same frames and grounds, so that a batch that was killed and run again is one batch,
    also where frames came since; `key` tells what grounds and folders it is of. `total` counts all frames found, also
    those judged before; `goldens` are the names of those that judge.
    """

    workspace: Workspace
    product: str
    view: str
    engine: str
    batch: str
    key: str
    chunks: tuple[tuple[FrameFile, ...], ...]
    total: int
    provenance: Provenance
    provisional: bool
    started_at: datetime
    source: str
    goldens: tuple[str, ...]


def plan_batch(  # noqa: PLR0913 - what a batch consists of, by name
    workspace: Workspace,
    product: str,
    view: str,
    frames: Path | Sequence[Path],
    *,
    chunk_size: int = 64,
    engine: str = "auto",
    shard: Shard = WHOLE,
) -> BatchPlan:
    """List the frames that have no verdict yet on the current grounds, in chunks.

    Args:
        workspace: the home that holds the state.
        product: the part number.
        view: the camera position.
        frames: folders of frames, or frames.
        chunk_size: frames in a chunk.
        engine: `auto`, `onnx`, `torch`, `cuda` or `cuda-half`.
        shard: which of the frames; a shard of a batch that was planned elsewhere is of that batch.

    Raises:
        NotEnrolledError: the product and view have no goldens.
        CalibrationError: there is no calibration at all, so that no frame could be judged, or goldens, recipe or
            calibration are others than those that the shard's batch was planned with.
        UnreadableImageError: the folder of frames does not exist.
    """
    sources = [frames] if isinstance(frames, Path) else list(frames)
    for source in sources:
        if not source.exists() and not source.is_symlink():
            message = f"{source} does not exist; name a folder of frames"
            raise UnreadableImageError(message)
    inspector = keep_inspector(workspace, product, view, engine=engine)
    calibration = inspector.calibration
    if calibration is None:
        message = f"no frame of {product}/{view} can be judged: {inspector.uncalibrated}"
        raise CalibrationError(message)
    key = _grounds(inspector, sources)
    files = shard.frames(sources)
    shard.check(key)
    left = _not_judged(workspace, inspector, files)
    return BatchPlan(
        workspace=workspace,
        product=product,
        view=view,
        engine=engine,
        batch=shard.batch or open_batch(workspace, key, _batch_id(key, files)),
        key=key,
        chunks=tuple(tuple(left[at : at + chunk_size]) for at in range(0, len(left), chunk_size)),
        total=len(files),
        provenance=inspector.provenance,
        provisional=calibration.provisional,
        started_at=datetime.now(UTC),
        source=", ".join(map(str, sources)),
        goldens=tuple(golden.name for golden in inspector.reference_set.goldens),
    )


def _not_judged(workspace: Workspace, inspector: Inspector, files: Sequence[FrameFile]) -> list[FrameFile]:
    """Frames without a verdict; one whose name was judged counts as judged only while its bytes are the same."""
    reference_set = inspector.reference_set
    names = [file.frame for file in files]
    with VerdictRecords(workspace.records_url) as records:
        judged = records.judged(reference_set.product, reference_set.view, inspector.provenance, frames=names)
    known = {frame for frame, _ in judged}
    return [file for file in files if file.frame not in known or (file.frame, _sha256(file)) not in judged]


def _sha256(file: FrameFile) -> str:
    data, problem = read_bytes(file.path)
    return "" if problem else hashlib.sha256(data).hexdigest()


def _grounds(inspector: Inspector, sources: Sequence[Path]) -> str:
    """The same for the same product, view, provenance and folders."""
    places = [str(source.absolute()) for source in sources]
    return digest_of([inspector.reference_set.product, inspector.reference_set.view, inspector.provenance, places])


def _batch_id(key: str, files: Sequence[FrameFile]) -> str:
    return digest_of([key, [(file.frame, _modified(file.path)) for file in files]])


def _modified(path: Path) -> int:
    """When a file was last changed, in nanoseconds; 0 where it is gone by now or can't be asked."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
