"""Where goldentwin keeps its state: one home folder, and the folder of reference images."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from pipeline.secret_files import read_secret_files


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """All paths that goldentwin writes to.

    `home` holds every state but the goldens; `references` holds `<product>/<view>/` with recipe and goldens.
    """

    home: Path
    references: Path

    @classmethod
    def locate(cls, home: Path | None = None, references: Path | None = None) -> Workspace:
        """Resolve the two folders: arguments first, then `GOLDENTWIN_HOME` / `GOLDENTWIN_REFERENCES`.

        Every command and flow begins with it, so secrets that files hold are read here (see `read_secret_files`).

        With no home named at all, state lies in `.goldentwin/` and goldens in `reference_images/` of the current
        folder. With a home named, goldens lie inside it (`<home>/reference_images`) unless told otherwise, so that
        nothing is written elsewhere.

        Raises:
            SecretFileError: a file that should hold a secret can't be read.
        """
        read_secret_files()
        named_home = home or _from_environment("GOLDENTWIN_HOME")
        root = (named_home or Path(".goldentwin")).expanduser().absolute()
        named_references = references or _from_environment("GOLDENTWIN_REFERENCES")
        default = root / "reference_images" if named_home else Path("reference_images")
        return cls(home=root, references=(named_references or default).expanduser().absolute())

    @property
    def cache(self) -> Path:
        """Exported encoders and the goldens' features; safe to delete."""
        return self.home / "cache"

    @property
    def calibrations(self) -> Path:
        """`<product>/<view>/<digest>.json` and `current.json`."""
        return self.home / "calibrations"

    @property
    def twins(self) -> Path:
        """Trained networks, `<product>/<view>/<digest>/`."""
        return self.home / "twins"

    @property
    def evidence(self) -> Path:
        """Pictures of flagged frames."""
        return self.home / "evidence"

    @property
    def frames(self) -> Path:
        """The frames that are reviewed, as they came, by the hash of their content."""
        return self.home / "frames"

    @property
    def reports(self) -> Path:
        """Pictures and pages of calibrations, evaluations and batches."""
        return self.home / "reports"

    @property
    def champions(self) -> Path:
        """The last champion of each product and view, kept locally for when MLflow is down."""
        return self.home / "champions"

    @property
    def challengers(self) -> Path:
        """Challengers, kept locally: they judge beside the champion and decide nothing."""
        return self.home / "challengers"

    @property
    def audit_anchor(self) -> Path:
        """The number and hash of the newest audit row that this home wrote; a file for each database."""
        address = os.environ.get("GOLDENTWIN_DATABASE_URL")
        name = hashlib.sha256(address.rsplit("@", 1)[-1].encode()).hexdigest()[:12] if address else "own"
        return self.home / "audit" / f"{name}.json"

    @property
    def outbox(self) -> Path:
        """What is to be delivered to MLflow once it is up again."""
        return self.home / "outbox"

    @property
    def retention(self) -> Path:
        """How long what is kept; the usual times where the file is not there."""
        return self.home / "retention.toml"

    @property
    def lines(self) -> Path:
        """The spools of lines, a folder each."""
        return self.home / "lines"

    @property
    def mlflow(self) -> Path:
        """The embedded MLflow store (`mlflow.db`) and its artifacts."""
        return self.home / "mlflow"

    @property
    def prefect(self) -> Path:
        """`PREFECT_HOME` of the embedded Prefect."""
        return self.home / "prefect"

    @property
    def records_url(self) -> str:
        """SQLAlchemy URL of the verdict records: `GOLDENTWIN_DATABASE_URL`, else SQLite in the home folder."""
        return os.environ.get("GOLDENTWIN_DATABASE_URL") or f"sqlite:///{self.home / 'records.db'}"


def cores() -> int:
    """How many cores this process may use: `GOLDENTWIN_CORES` of those it is let run on, or all of them.

    Several workers on one machine share it so: each is given its part.
    """
    there = len(os.sched_getaffinity(0))
    asked = os.environ.get("GOLDENTWIN_CORES", "")
    return max(1, min(there, int(asked))) if asked.isdecimal() else there


def _from_environment(name: str) -> Path | None:
    value = os.environ.get(name)
    return Path(value) if value else None
