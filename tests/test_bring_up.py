"""What docker/ says has been executed: its commands, variables and order, on this machine; and its files are sound."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import yaml
from drawn_night import PRODUCT, write_frames
from mlflow_server import asked
from native_plant import COMPOSE, PROJECT, compose, native_plant

from pipeline.cameras.addresses import open_camera

DOCKER = PROJECT / "docker"
BIN = Path(sys.executable).parent
FRAMES = 40


def test_dockerfile_has_nothing_that_hadolint_finds():
    """Pinned, tidy, not as root."""
    found = subprocess.run([BIN / "hadolint", DOCKER / "Dockerfile"], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout
    stages = (DOCKER / "Dockerfile").read_text(encoding="utf-8").split("\nFROM ")[2:]
    assert len(stages) == 2
    assert all("\nUSER 10001\n" in stage and "\nHEALTHCHECK " in stage for stage in stages)


def test_scripts_have_nothing_that_shellcheck_finds():
    """And they end at the first error."""
    scripts = [DOCKER / "make-secrets", *(file for file in (DOCKER / "entry").iterdir() if os.access(file, os.X_OK))]
    command = [BIN / "shellcheck", "--external-sources", "--source-path=SCRIPTDIR", *scripts]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    assert len(scripts) == 5
    assert all("set -euo pipefail" in script.read_text(encoding="utf-8") for script in scripts)


def test_compose_file_is_of_the_schema_of_compose(tmp_path):
    """Every key is one that Compose knows, with a value it takes."""
    command = [BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec"]
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(COMPOSE.read_text(encoding="utf-8").replace("cap_drop:", "cap_drops:"), encoding="utf-8")
    assert subprocess.run([*command, wrong], capture_output=True, check=False).returncode == 1
    found = subprocess.run([*command, COMPOSE], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


def test_everything_that_compose_names_is_there():
    """Volumes, secrets, networks and services that others depend on; files that are mounted."""
    document = compose()
    services = document["services"]
    for name, service in services.items():
        assert set(service.get("secrets", [])) <= set(document["secrets"]), name
        assert set(service.get("networks", [])) <= set(document["networks"]), name
        assert set(service.get("depends_on", {})) <= set(services), name
        for volume in service.get("volumes", []):
            source = volume.rsplit(":", 2)[0] if volume.endswith(":ro") else volume.rpartition(":")[0]
            if not source.startswith((".", "$")):
                assert source in document["volumes"], (name, volume)
        if service["image"].startswith("goldentwin:"):
            assert service["read_only"]
            assert service["cap_drop"] == ["ALL"]
        else:
            assert re.search(r":-[\w./-]+:[\w.-]*\d", service["image"]), f"{name} is not pinned"
    gpu = services["gpu-worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert gpu == [{"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}]


def test_what_is_copied_into_images_is_sent_and_secrets_are_not():
    """Neither to the engine nor into the repository."""
    sent = {line[1:] for line in (PROJECT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = re.findall(r"^COPY (.+) \S+$", (DOCKER / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert sent == {source for line in copied for source in line.split()}
    ignored = (PROJECT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {f"/docker/{name}" for name in ("secrets/", "certificates/", "backups/", ".env")} <= set(ignored)


def test_secrets_stay_out_of_the_environment():
    """The compose file has paths of files where passwords are wanted."""
    assert not re.search(r"://[^\s/]*:[^\s/]*@", COMPOSE.read_text(encoding="utf-8"))
    for name, service in compose()["services"].items():
        for key, value in (service.get("environment") or {}).items():
            if re.search(r"PASSWORD|SECRET|AUTH_STRING|ACCESS_KEY", key):
                assert key.endswith("_FILE"), (name, key)
                assert str(value).startswith("/run/secrets/"), (name, key)


def test_the_simulated_line_has_a_camera():
    """The address in the compose file is one."""
    command = compose()["services"]["line"]["command"]
    assert open_camera(command[command.index("--source") + 1]) is not None


@pytest.mark.parametrize("text", ["", "\n"])
def test_an_empty_secret_is_refused(tmp_path, text):
    """No server, worker or backup goes on as if no secret had been meant."""
    (tmp_path / "empty").write_text(text)
    given = {**os.environ, "GOLDENTWIN_DATABASE_URL_FILE": str(tmp_path / "empty"), "GOLDENTWIN_HOME": str(tmp_path)}
    done = subprocess.run(
        [DOCKER / "entry" / "backup", tmp_path.with_name("backups")],
        env=given,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "GOLDENTWIN_DATABASE_URL_FILE" in done.stderr
    assert "holds no secret" in done.stderr


def test_secrets_are_made_once(tmp_path):
    """Nobody else may read them, and what is there stays."""
    command = [DOCKER / "make-secrets", tmp_path / "secrets"]
    subprocess.run(command, check=True, capture_output=True)
    first = {file.name: file.read_text() for file in (tmp_path / "secrets").iterdir()}
    subprocess.run(command, check=True, capture_output=True)
    assert {file.name: file.read_text() for file in (tmp_path / "secrets").iterdir()} == first
    assert set(first) == set(compose()["secrets"])
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    # Compose mounts each file with its mode, and no user in a container owns it
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "secrets").iterdir()} == {0o444}
    assert json.loads(first["s3_config"])["identities"][0]["credentials"][0]["secretKey"] == first["s3_secret"]


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_whole_stack_judges_a_night(plates, postgres, tmp_path):
    """PostgreSQL, S3, MLflow with users, Prefect with a password: each frame has one row, the queue its parts."""
    frames = write_frames(tmp_path / "frames", FRAMES)
    site = {
        "timezone": "UTC",
        "products": [{"product": PRODUCT, "frames": str(frames)}],
        "night": {"frames_a_shard": 20, "shards_on": "cpu"},
    }
    plates.copy(tmp_path / "home")
    variables = {"FRAMES": str(tmp_path), "LINE_PRODUCT": PRODUCT, "NAME": "localhost"}
    with native_plant(tmp_path, postgres, yaml.safe_dump(site), variables) as plant:
        mlflow, prefect = (f"http://127.0.0.1:{plant.ports[name]}" for name in ("mlflow", "prefect"))
        plant.start("plant-worker")
        plant.start("cpu-worker")
        auth = (plant.secrets / "prefect_auth").read_text()
        environment = plant.environment("cpu-worker") | {"PREFECT_API_AUTH_STRING": auth}
        done = subprocess.run(
            [shutil.which("python", path=environment["PATH"]), "-m", "prefect", "deployment", "run",
             "plant-night/plant-night", "--watch", "--watch-timeout", "600"],
            env=environment, cwd=PROJECT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert "Completed" in done.stdout, done.stdout + done.stderr + plant.log("cpu-worker")
        with psycopg.connect((plant.secrets / "records_url").read_text()) as connection:
            rows = connection.execute("SELECT frame, evidence FROM verdicts ORDER BY frame").fetchall()
            pushed = connection.execute("SELECT count(*) FROM review_items WHERE trace <> ''").fetchone()[0]
        assert [frame for frame, _ in rows] == [f"part{i:04}.png" for i in range(FRAMES)]
        assert pushed >= FRAMES // 10
        password = (plant.secrets / "mlflow_password").read_text()
        experiments = f"{mlflow}/api/2.0/mlflow/experiments/search?max_results=10"
        logins = ("", ""), ("admin", "wrong"), ("admin", password)
        assert [asked(experiments, login=login)[0] for login in logins] == [401, 401, 200]
        assert asked(f"{prefect}/api/admin/version")[0] == 401
