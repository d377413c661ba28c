"""docker/compose.yaml's services as processes, and a night of 4 products x 500 frames through them, a worker killed.

PostgreSQL, S3, MLflow with users, Prefect with a password and two CPU workers, one of which is killed with -9 with all
it did, by the commands, variables and order of the compose file.

Run: python tests/benchmarks/bring_up.py [--frames 500]
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psycopg
import yaml
from native_plant import PROJECT, NativePlant, native_plant
from plant import PRODUCTS, drawn_plant, rows_in
from postgres_server import postgres_programs, running_postgres

PATIENCE = 3000
KILLED_AT = 300  # rows


def main() -> int:
    """Print what is there at the end; 1 where something is missing or twice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=500)
    count = parser.parse_args().frames
    programs = postgres_programs()
    if programs is None:
        sys.exit("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    os.environ["MLFLOW_TRACKING_URI"] = "http://127.0.0.1:9"  # enrolled before MLflow is there
    with tempfile.TemporaryDirectory() as name, running_postgres(programs) as postgres:
        folder = Path(name)
        products = drawn_plant(folder, count).products
        site = {
            "timezone": "UTC",
            "products": [{"product": one.product, "frames": one.frames} for one in products],
            "night": {"frames_a_shard": 250, "shards_on": "cpu"},
        }
        variables = {
            "FRAMES": name,
            "LINE_PRODUCT": products[0].product,
            "NAME": "localhost",
        }
        started = time.monotonic()
        with native_plant(folder, postgres, yaml.safe_dump(site), variables) as plant:
            sys.stdout.write(f"all servers up after {time.monotonic() - started:.0f} s\n")
            night(plant)
            return told(plant, PRODUCTS * count)


def night(plant: NativePlant) -> None:
    """Two workers, one of which is killed when it is well under way."""
    for name in ("plant-worker", "cpu-worker"):
        plant.start(name)
    killed = plant._spawn("second-worker", plant.command("cpu-worker"), plant.environment("cpu-worker"))
    plant.processes["second-worker"] = killed
    auth = (plant.secrets / "prefect_auth").read_text()
    environment = plant.environment("cpu-worker") | {"PREFECT_API_AUTH_STRING": auth}
    command = [sys.executable, "-m", "prefect", "deployment", "run", "plant-night/plant-night", "--watch"]
    command += ["--watch-timeout", str(PATIENCE)]
    url = (plant.secrets / "records_url").read_text()
    with subprocess.Popen(command, env=environment, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as run:
        while rows_in(url)[0] < KILLED_AT:
            time.sleep(0.5)
        os.killpg(killed.pid, signal.SIGKILL)
        sys.stdout.write(f"killed a worker at {rows_in(url)[0]} rows\n")
        words, _ = run.communicate()
    sys.stdout.write(f"the night: {'Completed' if 'Completed' in words else words[-2000:]}\n")


def told(plant: NativePlant, whole: int) -> int:
    """Rows, frames, parts in the queue, and what is there twice."""
    url = (plant.secrets / "records_url").read_text()
    rows, distinct = rows_in(url)
    with psycopg.connect(url) as connection:
        waiting, traces, pushed = connection.execute(
            "SELECT count(*), count(DISTINCT trace), count(*) FILTER (WHERE trace <> '') FROM review_items"
        ).fetchone() or (0, 0, 0)
        flagged = (connection.execute("SELECT count(*) FROM verdicts WHERE verdict = 'FLAG'").fetchone() or (0,))[0]
    sys.stdout.write(
        "| rows | distinct frames | wanted | flagged | parts chosen for review | of these in MLflow | traces |\n"
        "|---:|---:|---:|---:|---:|---:|---:|\n"
        f"| {rows} | {distinct} | {whole} | {flagged} | {waiting} | {pushed} | {traces} |\n"
    )
    return int((rows, distinct) != (whole, whole) or not pushed == traces == waiting > 0)


if __name__ == "__main__":
    sys.exit(main())
