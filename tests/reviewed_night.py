"""A small judged night of drawn plates, for tests of reviewing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from drawn_line import write
from drawn_night import PRODUCT, draw_part

from inspection.recipe import Recipe, ReviewSettings
from pipeline.batch import judge_chunk
from pipeline.planning import BatchPlan, plan_batch
from pipeline.workspace import Workspace

PARTS, SCRATCHED = 10, 2


@dataclass(frozen=True, kw_only=True)
class Night:
    """What was judged: `defective` are the names of the scratched frames."""

    batch: str
    folder: Path
    plan: BatchPlan
    defective: frozenset[str]


def recipe_with(line: Workspace, settings: ReviewSettings) -> None:
    """Change the review settings of the plates' recipe, as a user would: in the file."""
    path = line.references / PRODUCT / "default" / "recipe.json"
    path.write_text(replace(Recipe.load(path), review=settings).to_json())


def judged_night(line: Workspace, folder: Path, *, parts: int = PARTS, first: int = 300) -> Night:
    """Judge plates of which every fifth is scratched; nothing is told to MLflow."""
    scratched = [n for n in range(parts) if n % 5 == 0]
    write(folder, [draw_part(first + n, scratched=n in scratched) for n in range(parts)])
    plan = plan_batch(line, PRODUCT, "default", folder, engine="onnx")
    for chunk in plan.chunks:
        judge_chunk(plan, chunk)
    names = frozenset(f"{n:02}.png" for n in scratched)
    return Night(batch=plan.batch, folder=folder, plan=plan, defective=names)
