"""The rules of the layout: what lies where, how large it may grow, who may import whom."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
TOP_PACKAGES = ("flows", "inspection", "pipeline")
MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 50
MAX_FILE_BYTES = 500_000
LONG_FILES: dict[str, str] = {}  # path: why it may be longer
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers"}
TARGETS = ("demo", "test", "lint", "types", "format", "ui", "bench", "clean", "help")
LINK = re.compile(r"!?\[[^\]]*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
CODE_BLOCK = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)


def tracked_files() -> list[Path]:
    """All files under version control that are on disk."""
    if not (PROJECT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    return [path for name in listed.split("\0") if name and (path := PROJECT / name).is_file()]


def modules() -> list[Path]:
    """Every Python file of the packages and the tests."""
    return sorted(path for folder in (*TOP_PACKAGES, "tests") for path in (PROJECT / folder).rglob("*.py"))


def test_packages_named_like_our_folders_are_the_installed_ones() -> None:
    """`mlflow` and `docker` come from site-packages, even when Python runs in the project's root."""
    code = "import importlib.util as u; print(u.find_spec('mlflow').origin); print(u.find_spec('docker').origin)"
    found = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    origins = [Path(line).parts[-3:] for line in found.splitlines()]
    assert origins == [("site-packages", "mlflow", "__init__.py"), ("site-packages", "docker", "__init__.py")]


@pytest.mark.parametrize("folder", ["mlflow", "docker", "reference_images"])
def test_configuration_folders_hold_no_python(folder: str) -> None:
    """A Python file in these folders would shadow the installed package of that name."""
    assert (PROJECT / folder).is_dir()
    assert [path for path in (PROJECT / folder).rglob("*.py*") if path.suffix in {".py", ".pyi", ".pyc"}] == []


def test_tests_are_flat() -> None:
    """The tests are no package, so that no folder of theirs can be imported by accident."""
    assert list((PROJECT / "tests").rglob("__init__.py")) == []


def test_no_module_is_named_like_one_of_the_standard_library() -> None:
    """Neither `inspect` nor `queue` nor any other such name."""
    named = [
        path
        for path in modules()
        if (path.parent.name if path.stem == "__init__" else path.stem) in sys.stdlib_module_names
    ]
    assert named == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    """No `utils`, `helpers`, `common` or `manager`."""
    assert [path for path in modules() if VAGUE_NAMES & {path.stem, path.parent.name}] == []


def test_no_file_is_too_long() -> None:
    """A file has at most 300 lines, unless it is listed with its reason."""
    lengths = {path.relative_to(PROJECT).as_posix(): len(path.read_bytes().splitlines()) for path in modules()}
    too_long = {name: length for name, length in lengths.items() if length > MAX_FILE_LINES and name not in LONG_FILES}
    assert too_long == {}


def test_files_allowed_to_be_long_still_are() -> None:
    """The list of exceptions holds no file that is gone or short again."""
    stale = [n for n in LONG_FILES if len((PROJECT / n).read_bytes().splitlines()) <= MAX_FILE_LINES]
    assert stale == []


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Each function of a file and the lines of its body, without its docstring."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            yield node.name, (node.end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_no_function_is_too_long() -> None:
    """A function's body has at most 50 lines."""
    too_long = {f"{path.name}:{name}": n for path in modules() for name, n in functions(path) if n > MAX_FUNCTION_LINES}
    assert too_long == {}


def test_no_large_file_is_tracked() -> None:
    """Images, weights and databases stay out of the repository: nothing above 500 KB."""
    assert [path for path in tracked_files() if path.stat().st_size > MAX_FILE_BYTES] == []


def test_packages_are_all_listed() -> None:
    """pyproject.toml lists every package on disk and no other; one that is not listed would not be installed."""
    on_disk = {
        path.parent.relative_to(PROJECT).as_posix().replace("/", ".")
        for folder in TOP_PACKAGES
        for path in (PROJECT / folder).rglob("__init__.py")
    }
    assert set(PYPROJECT["tool"]["setuptools"]["packages"]) == on_disk


def pins() -> dict[str, str]:
    """The pinned version of each package in constraints.txt."""
    lines = (PROJECT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pairs}


def requirements() -> list[Requirement]:
    """Everything pyproject.toml asks for, but for the project's own extras."""
    project = PYPROJECT["project"]
    wanted = [*project["dependencies"], *PYPROJECT["build-system"]["requires"]]
    wanted += [entry for extra in project["optional-dependencies"].values() for entry in extra]
    return [need for entry in wanted if (need := Requirement(entry)).name != project["name"]]


@pytest.mark.parametrize("wanted", requirements(), ids=lambda wanted: wanted.name)
def test_dependency_is_pinned_to_a_version_it_allows(wanted: Requirement) -> None:
    """constraints.txt has every dependency, at a version within the bounds of pyproject.toml."""
    assert wanted.specifier.contains(pins()[canonicalize_name(wanted.name)])


def test_everything_imported_is_declared() -> None:
    """What our packages import is a dependency of their own, not only one of somebody else's."""
    project = PYPROJECT["project"]
    extras = [entry for name, extra in project["optional-dependencies"].items() if name != "dev" for entry in extra]
    declared = {canonicalize_name(Requirement(entry).name) for entry in [*project["dependencies"], *extras]}
    providers = packages_distributions()
    undeclared = {
        f"{path.relative_to(PROJECT)}: {name}"
        for path in modules()
        if not path.is_relative_to(PROJECT / "tests")
        for name in imported_names(path) - sys.stdlib_module_names - set(TOP_PACKAGES)
        if not declared & {canonicalize_name(provider) for provider in providers.get(name, [])}
    }
    assert undeclared == set()


def imported_names(path: Path) -> set[str]:
    """The top-level packages a file imports, anywhere in it."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    plain = {alias.name.split(".")[0] for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {
        str(node.module).split(".")[0] for node in nodes if isinstance(node, ast.ImportFrom) and not node.level
    }


def test_links_between_documents_resolve() -> None:
    """Every relative link in a Markdown file leads to a file or folder of the repository."""
    broken = []
    for page in (path for path in tracked_files() if path.suffix == ".md"):
        for target in LINK.findall(CODE_BLOCK.sub("", page.read_text(encoding="utf-8"))):
            place = target.split("#")[0]
            if (
                place
                and "://" not in target
                and not target.startswith("mailto:")
                and not (page.parent / place).exists()
            ):
                broken.append(f"{page.relative_to(PROJECT)}: {target}")
    assert broken == []


def test_make_lists_its_targets() -> None:
    """`make` alone names every target with what it does, and installs nothing."""
    make = shutil.which("make")
    if make is None:
        pytest.skip("make is not installed")
    listed = subprocess.run([make, "-s"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    assert [target for target in TARGETS if not re.search(rf"^  make {target} +\S", listed, re.MULTILINE)] == []


def lint_imports(folder: Path) -> str:
    """What import-linter says of the packages in `folder`."""
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([program, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.fixture
def copy_of_packages(tmp_path: Path) -> Path:
    """The packages and pyproject.toml, to be spoilt."""
    for name in TOP_PACKAGES:
        shutil.copytree(PROJECT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    return tmp_path


VIOLATIONS = [
    ("inspection/errors.py", "import pipeline.workspace", "imports run one way"),
    ("pipeline/workspace.py", "import flows", "imports run one way"),
    ("inspection/errors.py", "import prefect", "inspection knows neither"),
    ("inspection/errors.py", "from sqlalchemy.orm import Session", "inspection knows neither"),
    ("pipeline/workspace.py", "from mlflow.tracking import MlflowClient", "only pipeline.tracking imports MLflow"),
    ("flows/__init__.py", "import mlflow", "only pipeline.tracking imports MLflow"),
    ("pipeline/workspace.py", "import sqlite3", "only pipeline.records imports a database"),
    ("flows/__init__.py", "import psycopg", "only pipeline.records imports a database"),
    ("pipeline/tracking/__init__.py", "import sqlalchemy", "only pipeline.records imports a database"),
    (
        "pipeline/records/__init__.py",
        "from prefect import flow",
        "pipeline knows no Prefect",
    ),
]


@pytest.mark.parametrize(("file", "statement", "contract"), VIOLATIONS, ids=[f"{v[1]} in {v[0]}" for v in VIOLATIONS])
def test_forbidden_import_is_found(copy_of_packages: Path, file: str, statement: str, contract: str) -> None:
    """An import against the architecture breaks its contract, even inside a function."""
    with (copy_of_packages / file).open("a", encoding="utf-8") as source:
        source.write(f"\n\ndef _spoilt() -> None:\n    {statement}\n")
    broken = [line for line in lint_imports(copy_of_packages).splitlines() if "BROKEN" in line]
    assert any(line.startswith(contract) for line in broken)


def test_all_imports_keep_the_contracts(copy_of_packages: Path) -> None:
    """The code as it stands breaks no contract."""
    said = lint_imports(copy_of_packages)
    assert "0 broken" in said, said
