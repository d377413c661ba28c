"""What every test gets: a home of its own, no telemetry; and fixtures that several topics share."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from postgres_server import PostgresServer, postgres_programs, running_postgres
from programs import lacking

from pipeline.workspace import Workspace

if TYPE_CHECKING:
    from drawn_line import DrawnLine

PROJECT = Path(__file__).resolve().parents[1]
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "MPLBACKEND": "Agg",
    "NO_COLOR": "1",
}
OUTSIDE = (
    "GOLDENTWIN_DASK",
    "GOLDENTWIN_DATABASE_URL",
    "GOLDENTWIN_EVIDENCE_URL",
    "GOLDENTWIN_PAGE_TOKEN",
    "GOLDENTWIN_REFERENCES",
    "GOLDENTWIN_REVIEWERS",
    "MLFLOW_S3_ENDPOINT_URL",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_URI",
    "MLFLOW_REGISTRY_URI",
    "PREFECT_API_AUTH_STRING",
    "PREFECT_API_URL",
    "PREFECT_PROFILE",
)

settings.register_profile("goldentwin", deadline=None, derandomize=True, database=None)
settings.load_profile("goldentwin")


def pytest_configure(config: pytest.Config) -> None:
    """Before anything is imported: libraries neither phone home nor read or write the user's own settings."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # else ignored in the background
    os.environ.update(QUIET)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # what tests encode is tiny, and threads that wait cost more
    for name in OUTSIDE:
        os.environ.pop(name, None)
    os.environ["MPLCONFIGDIR"] = str(config.cache.mkdir("matplotlib"))  # kept, for its list of fonts takes seconds
    os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="goldentwin-prefect-")


def pytest_unconfigure() -> None:
    """Leave nothing behind."""
    shutil.rmtree(os.environ.get("PREFECT_HOME", ""), ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, with the reason, what this machine can't run; CI installs a browser, so there its tests run or fail."""
    there = () if os.environ.get("CI") else (("browser", _no_browser),)
    for mark, missing in (("real_data", _no_real_data), ("gpu", _no_gpu), *there):
        marked = [item for item in items if item.get_closest_marker(mark)]
        if marked and (reason := missing()):
            for item in marked:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder of the test's own, named by GOLDENTWIN_HOME; not made yet."""
    folder = tmp_path / "home"
    monkeypatch.setenv("GOLDENTWIN_HOME", str(folder))
    return folder


@pytest.fixture
def workspace(home: Path) -> Workspace:
    """The paths inside the test's own home folder."""
    return Workspace.locate(home=home)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real inspection images, one folder a part; read only."""
    return _real_data_folder()


@pytest.fixture(scope="session")
def plates(tmp_path_factory: pytest.TempPathFactory) -> DrawnLine:
    """Drawn plates, enrolled and provisionally calibrated once; `copy` gives a test a home of its own."""
    from drawn_line import plate_line

    return plate_line(tmp_path_factory.mktemp("plates") / "home")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real PostgreSQL server for the whole session."""
    programs = postgres_programs()
    if programs is None:
        lacking("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    with running_postgres(programs) as server:
        yield server


@pytest.fixture(scope="session")
def prefect_api() -> Iterator[None]:
    """A real Prefect API on a database of its own, for the whole session."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield


def _real_data_folder() -> Path:
    return Path(os.environ.get("GOLDENTWIN_TEST_DATA") or PROJECT.parent / "shared" / "data")


def _no_real_data() -> str | None:
    folder = _real_data_folder()
    return None if folder.is_dir() else f"no real images at {folder}; GOLDENTWIN_TEST_DATA names another folder"


def _no_gpu() -> str | None:
    import torch

    return None if torch.cuda.is_available() else "no CUDA device"


def _no_browser() -> str | None:
    found = any(shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    return None if found else "no Chromium (Debian: apt-get install chromium)"
