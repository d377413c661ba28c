"""What docker/ backs up, restored on an empty machine: the same verdicts, labels and pictures; or nothing at all."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from drawn_night import PRODUCT, write_frames
from earlier_records import all_rows
from mlflow_server import asked
from native_plant import PROJECT, NativePlant
from postgres_server import postgres_programs, running_postgres
from programs import program
from reviewed_night import judged_night

from pipeline.batch import summarise_batch

ENTRY = PROJECT / "docker" / "entry"
BIN = Path(sys.executable).parent
FRAMES = 10


@pytest.fixture(autouse=True)
def _python(monkeypatch):
    """The scripts' own python is this one, as with a worker."""
    monkeypatch.setenv("PATH", f"{BIN}{os.pathsep}{os.environ['PATH']}")


def script(name, folder, home, monkeypatch):
    """Run `backup` or `restore` for a home, and give what came of it."""
    monkeypatch.setenv("GOLDENTWIN_HOME", str(home))
    return subprocess.run([ENTRY / name, folder], capture_output=True, text=True, check=False, timeout=120)


def files(folder):
    """The files of a home by name, with their bytes; databases, caches and locks aside."""
    databases = (".db", ".db-wal", ".db-shm")
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {
        name: path.read_bytes()
        for name, path in found.items()
        if not name.endswith((".lock", *databases)) and not name.startswith("cache/")
    }


@pytest.fixture
def used(plates, tmp_path, monkeypatch):
    """A home of the embedded default with a judged night, a spool in use, and what waits for MLflow."""
    line = plates.copy(tmp_path / "here")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert not summarise_batch(judged_night(line, tmp_path / "frames").plan, 1.0).tracked
    return line.home


def test_a_home_comes_back(used, tmp_path, monkeypatch):
    """Records, evidence, goldens, calibrations; what a writer has not put into the database file yet, too."""
    spool = used / "lines" / "hall1" / "spool.db"
    spool.parent.mkdir(parents=True)
    with sqlite3.connect(spool) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("CREATE TABLE waiting (part TEXT)")
        writer.execute("INSERT INTO waiting VALUES ('bolt')")
        writer.commit()
        done = script("backup", tmp_path / "backups", used, monkeypatch)
    assert (done.returncode, done.stderr) == (0, "")
    (backup,) = (tmp_path / "backups").iterdir()
    assert str(backup) in done.stdout
    there = tmp_path / "there"
    done = script("restore", backup, there, monkeypatch)
    assert (done.returncode, done.stderr) == (0, "")
    assert files(there) == files(used)
    assert any(name.startswith("evidence/") for name in files(there))
    assert any(name.startswith("outbox/") for name in files(there))
    records = all_rows(f"sqlite:///{used / 'records.db'}")
    assert all_rows(f"sqlite:///{there / 'records.db'}") == records
    assert len(records["verdicts"]) == FRAMES
    with sqlite3.connect(there / "lines" / "hall1" / "spool.db") as reader:
        assert reader.execute("SELECT part FROM waiting").fetchall() == [("bolt",)]


def test_goldens_outside_of_the_home_come_back(used, tmp_path, monkeypatch):
    """As with the embedded default, where they lie beside it, and a fresh clone has a page there already."""
    goldens = (used / "reference_images").rename(tmp_path / "goldens")
    (goldens / "README.md").write_text("old")
    monkeypatch.setenv("GOLDENTWIN_REFERENCES", str(goldens))
    assert script("backup", tmp_path / "backups", used, monkeypatch).returncode == 0
    (backup,) = (tmp_path / "backups").iterdir()
    done = script("restore", backup, tmp_path / "there", monkeypatch)
    assert (done.returncode, "holds goldens" in done.stderr) == (1, True)
    monkeypatch.delenv("GOLDENTWIN_REFERENCES")
    done = script("restore", backup, tmp_path / "there", monkeypatch)
    assert (done.returncode, "GOLDENTWIN_REFERENCES" in done.stderr) == (1, True)
    clone = tmp_path / "goldens there"
    clone.mkdir()
    (clone / "README.md").write_text("new")
    monkeypatch.setenv("GOLDENTWIN_REFERENCES", str(clone))
    assert script("restore", backup, tmp_path / "there", monkeypatch).returncode == 0
    assert (clone / "README.md").read_text() == "new"
    assert {**files(clone), "README.md": b"old"} == files(goldens)


def test_nothing_is_restored_over_anything(used, tmp_path, monkeypatch):
    """A home in use stays as it is, and so does one where the backup is damaged or not whole."""
    assert script("backup", tmp_path / "backups", used, monkeypatch).returncode == 0
    (backup,) = (tmp_path / "backups").iterdir()
    before = files(used)
    done = script("restore", backup, used, monkeypatch)
    assert (done.returncode, "is not empty" in done.stderr) == (1, True)
    assert files(used) == before
    there = tmp_path / "there"
    with (backup / "home.tar").open("r+b") as archive:
        archive.seek(1000)
        archive.write(b"damage")
    done = script("restore", backup, there, monkeypatch)
    assert (done.returncode, "is damaged" in done.stderr, "home.tar" in done.stdout) == (1, True, True)
    (backup / "SHA256SUMS").unlink()
    done = script("restore", backup, there, monkeypatch)
    assert (done.returncode, "no whole backup" in done.stderr) == (1, True)
    assert not there.exists()


def test_a_home_does_not_save_its_own_backups(used, monkeypatch):
    """Each would hold all those before it."""
    done = script("backup", used / "backups", used, monkeypatch)
    assert (done.returncode, "lies in the home" in done.stderr) == (1, True)
    assert not (used / "backups").exists()


def test_artifacts_are_restored_to_an_empty_place(used, tmp_path, monkeypatch):
    """A folder of artifacts beside the home: saved with it, and nothing of another one is replaced."""
    program("rclone", "rclone")
    artifacts = tmp_path / "artifacts"
    (artifacts / "1").mkdir(parents=True)
    (artifacts / "1" / "sheet.txt").write_text("first")
    monkeypatch.setenv("MLFLOW_ARTIFACTS", str(artifacts))
    assert script("backup", tmp_path / "backups", used, monkeypatch).returncode == 0
    (backup,) = (tmp_path / "backups").iterdir()
    (artifacts / "1" / "sheet.txt").write_text("second")
    there = tmp_path / "there"
    done = script("restore", backup, there, monkeypatch)
    assert (done.returncode, f"{artifacts} is not empty" in done.stderr, there.exists()) == (1, True, False)
    assert (artifacts / "1" / "sheet.txt").read_text() == "second"
    monkeypatch.setenv("MLFLOW_ARTIFACTS", str(tmp_path / "artifacts there"))
    assert script("restore", backup, there, monkeypatch).returncode == 0
    assert (tmp_path / "artifacts there" / "1" / "sheet.txt").read_text() == "first"


def test_a_backup_that_fails_leaves_nothing(used, tmp_path, monkeypatch):
    """A database that can't be reached: an error, and no folder that could be taken for a backup."""
    monkeypatch.setenv("MLFLOW_BACKEND", "postgresql+psycopg://goldentwin:a-secret@127.0.0.1:9/mlflow")
    done = script("backup", tmp_path / "backups", used, monkeypatch)
    assert done.returncode != 0
    assert "127.0.0.1" in done.stderr
    assert "a-secret" not in done.stderr + done.stdout
    assert list((tmp_path / "backups").iterdir()) == []


def asked_admin(plant, path, body=None):
    """What MLflow answers to its administrator."""
    login = ("admin", (plant.secrets / "mlflow_password").read_text())
    url = f"http://127.0.0.1:{plant.ports['mlflow']}{path}"
    status, found = asked(url, "POST" if body else "GET", login=login, body=body)
    assert status == 200, found
    return found


def started(plant, secrets=None):
    """Secrets, PostgreSQL with its databases and S3, as before the first `up` or a restore."""
    plant.folder.mkdir(exist_ok=True)
    if secrets:
        shutil.copytree(secrets, plant.secrets, ignore=shutil.ignore_patterns("*_url", "postgres_password"))
    plant.make_secrets()
    plant.start_s3()
    return plant


def goldentwin(plant, *arguments):
    """A command in the environment of a worker."""
    done = subprocess.run(
        [ENTRY / "run", *arguments], env=plant.environment("cpu-worker"), capture_output=True, text=True, check=False
    )
    assert done.returncode in {0, 2}, done.stdout + done.stderr
    return done.stdout


def verdicts(text):
    """What `inspect --json` said of each frame, times aside."""
    said = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return [{key: one[key] for key in ("frame", "verdict", "similarity", "threshold")} for one in said]


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_plant_on_an_empty_machine(plates, tmp_path):
    """PostgreSQL, S3, MLflow with users: rows, answers, parts with their pictures, and the same verdicts again."""
    program("rclone", "rclone")
    frames = write_frames(tmp_path / "frames", FRAMES)
    variables = {"FRAMES": str(tmp_path)}
    with running_postgres(postgres_programs()) as postgres:
        here = NativePlant(folder=tmp_path / "here", postgres=postgres, variables=variables)
        try:
            started(here)
            plates.copy(here.home)
            here.start("mlflow")
            goldentwin(here, "batch", PRODUCT, "--frames", str(frames))
            goldentwin(here, "review", "push")
            records = (here.secrets / "records_url").read_text()
            with psycopg.connect(records) as connection:
                (trace,) = connection.execute("SELECT min(trace) FROM review_items WHERE trace <> ''").fetchone()
            path = f"/api/3.0/mlflow/traces/{trace}"
            verdict = {"assessment_name": "verdict", "trace_id": trace, "feedback": {"value": True}}
            verdict["source"] = {"source_type": "HUMAN", "source_id": "anna"}
            asked_admin(here, f"{path}/assessments", {"assessment": verdict})
            goldentwin(here, "review", "pull")
            rows, part, pictures = all_rows(records), asked_admin(here, path), here.s3.objects()
            judged = verdicts(goldentwin(here, "inspect", PRODUCT, str(frames), "--json"))
            kept = files(here.home)
            here.finish("backup")
        finally:
            here.stop()
    assert len(rows["verdicts"]) == FRAMES
    assert len(rows["review_answers"]) == 1
    assert len(pictures) > 1
    assert len(judged) == FRAMES
    (backup,) = here.backups.iterdir()
    with running_postgres(postgres_programs()) as other:
        there = NativePlant(folder=tmp_path / "there", postgres=other, variables=variables | {"BACKUP": backup.name})
        try:
            shutil.copytree(here.backups, tmp_path / "there" / "backups")
            started(there, here.secrets)
            there.finish("restore")
            assert files(there.home) == kept
            assert all_rows((there.secrets / "records_url").read_text()) == rows
            there.start("mlflow")
            assert asked_admin(there, path) == part
            assert there.s3.objects() == pictures
            assert verdicts(goldentwin(there, "inspect", PRODUCT, str(frames), "--json")) == judged
            goldentwin(there, "batch", PRODUCT, "--frames", str(frames))
            again = all_rows((there.secrets / "records_url").read_text())
            assert again["verdicts"] == rows["verdicts"]  # with the times at which they were judged: nothing was anew
        finally:
            there.stop()
