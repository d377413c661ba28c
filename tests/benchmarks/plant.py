"""A plant's night of 4 products x 500 frames on PostgreSQL: one worker, two, and two of which one is killed.

Run on a machine with nothing else to do: python tests/benchmarks/plant.py [--frames 500]
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import psycopg
from postgres_server import PostgresServer, postgres_programs, running_postgres
from prefect_site import PrefectSite, kill_host, prefect_site

from flows.sites import Night, Product, Site, deployments
from inspection.calibration import provisional_calibration
from inspection.recipe import Recipe
from pipeline.enrolment import enrol_goldens
from pipeline.opening import keep_calibration, open_inspector
from pipeline.simulator import DefectKind, LineSimulator
from pipeline.workspace import Workspace

PRODUCTS = 4
GOLDENS = 4
SIDE = 512
DEFECT_EVERY = 100
PATIENCE = 3600.0
ONE_THREAD = {"GOLDENTWIN_CORES": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True, kw_only=True)
class Result:
    """A night: how it ended, its rows and distinct frames, the seconds from first to last shard, and of the whole."""

    state: str
    rows: int
    distinct: int
    judging: float
    whole: float
    shards: list[str]


def main() -> int:
    """Print the table; 1 where a night is not whole."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=500)
    count = parser.parse_args().frames
    os.environ["MLFLOW_TRACKING_URI"] = "http://127.0.0.1:9"  # judging is measured; MLflow is told later
    programs = postgres_programs()
    if programs is None:
        sys.exit("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    with tempfile.TemporaryDirectory() as folder, running_postgres(programs) as postgres:
        site = drawn_plant(Path(folder), count)
        nights = {
            "one worker": _night(site, Path(folder), postgres, workers=1),
            "two workers": _night(site, Path(folder), postgres, workers=2),
            "two, one killed with all it did": _night(site, Path(folder), postgres, workers=2, kill=True),
        }
    _print(nights, count)
    whole = PRODUCTS * count
    return int(any((one.rows, one.distinct, one.state) != (whole, whole, "Completed") for one in nights.values()))


def drawn_plant(folder: Path, count: int) -> Site:
    """Four drawn boards, enrolled and provisionally calibrated, and a night's frames of each."""
    workspace = Workspace.locate(folder / "home")
    products = []
    for number in range(PRODUCTS):
        name, line = f"board{number}", LineSimulator(seed=number, size=SIDE)
        goldens = _draw(line, folder / f"goldens of {name}", range(90_000, 90_000 + GOLDENS))
        frames = folder / f"frames of {name}"
        _draw(line, frames, range(count))
        enrol_goldens(
            workspace.references, product=name, files=goldens, recipe=Recipe(), mask=None, added_by="bench", add=False
        )
        inspector = open_inspector(workspace, name, engine="onnx")
        provisional = provisional_calibration(inspector.golden_similarities, binding=inspector.binding)
        keep_calibration(workspace, name, "default", provisional)
        products.append(Product(product=name, frames=str(frames)))
    return Site(timezone="UTC", products=products, night=Night(frames_a_shard=250))


def _draw(line: LineSimulator, folder: Path, numbers: range) -> list[Path]:
    folder.mkdir()
    files = [folder / f"{number:05}.jpg" for number in numbers]
    for number, file in zip(numbers, files, strict=True):
        defect = DefectKind.MISSING_PART if number % DEFECT_EVERY == 1 else None
        cv2.imwrite(str(file), line.frame(number, defect).image[..., ::-1])
    return files


def _night(plant: Site, folder: Path, postgres: PostgresServer, *, workers: int, kill: bool = False) -> Result:
    """Run the night on a Prefect server and a database of its own."""
    url = postgres.new_database()
    own = Path(tempfile.mkdtemp(dir=folder))
    shutil.copytree(folder / "home", own / "home")  # Prefect's database lies in it
    with prefect_site(own / "home", own, GOLDENTWIN_DATABASE_URL=url, **ONE_THREAD) as site:
        site.prefect("automation", "create", "--from-file", "flows/automations.yaml")
        site.deploy([one for one in deployments(plant) if one["name"] in {"plant-night", "night-shard"}])
        started = [site.start_worker("gpu-pool", "gpu") for _ in range(workers)]
        site.start_worker("gpu-pool", "plant")
        site.prefect("deployment", "run", "plant-night/plant-night")
        if kill:
            site.wait_for(lambda: rows_in(url)[0] > 100, PATIENCE)
            kill_host(started[0])
        site.wait_for(lambda: _ended(site), PATIENCE)
        night = site.runs("plant-night")[0]  # those after it are scheduled for other nights
        sys.stderr.write(f"{night['state']['message']}\n")
        shards = [run for run in site.runs("night-shard") if run["start_time"]]
        rows, distinct = rows_in(url)
        done = [run for run in shards if run["state_name"] == "Completed"]
        return Result(
            state=night["state_name"],
            rows=rows,
            distinct=distinct,
            judging=_seconds(min(run["start_time"] for run in shards), max(run["end_time"] for run in done)),
            whole=_seconds(night["start_time"], night["end_time"]),
            shards=site.states("night-shard"),
        )


def _ended(site: PrefectSite) -> bool:
    time.sleep(1)
    return site.runs("plant-night")[0]["state_type"] in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


def rows_in(url: str) -> tuple[int, int]:
    """Rows, and distinct frames of products, in these records."""
    with psycopg.connect(url) as connection:
        try:
            query = "SELECT count(*), count(DISTINCT product || frame) FROM verdicts"
            return connection.execute(query).fetchone() or (0, 0)
        except psycopg.errors.UndefinedTable:
            return 0, 0


def _seconds(begin: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds()


def _print(nights: dict[str, Result], count: int) -> None:
    alone = nights["one worker"]
    lines = [
        f"{PRODUCTS} products x {count} frames of {SIDE} x {SIDE}, shards of 250, one thread a worker",
        "| night | ended | rows | distinct | shards | judging, over one worker's | whole run, over one worker's |",
        "|---|---|---:|---:|---|---:|---:|",
    ]
    for name, one in nights.items():
        shards = ", ".join(f"{one.shards.count(state)} {state}" for state in sorted(set(one.shards)))
        faster, whole = alone.judging / one.judging, alone.whole / one.whole
        lines.append(
            f"| {name} | {one.state} | {one.rows} | {one.distinct} | {shards} | {faster:.2f} x | {whole:.2f} x |"
        )
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
