"""What happens to reference sets when files are altered, processes killed, or several write at once."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from enrolment_samples import enrol, write_pictures

from inspection import reference_store
from inspection.errors import RecipeError, ReferenceSetError
from inspection.reference_set import list_versions, load_reference_set

ROOT = Path(__file__).parents[1]


@pytest.fixture
def pictures(tmp_path):
    """Six pictures of good parts."""
    return write_pictures(tmp_path / "pictures")


@pytest.fixture
def references(tmp_path):
    """The folder of reference images, not made yet."""
    return tmp_path / "reference_images"


def test_an_altered_golden_is_detected(references, pictures):
    """One changed byte in a golden's file stops loading; the message names it and the remedy, which works."""
    golden = enrol(references, pictures[:2]).reference_set.goldens[1]
    file = references / "gear" / "default" / golden.file
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(ReferenceSetError, match=r"golden '1\.png' .* was altered .*goldentwin enrol gear"):
        load_reference_set(references, "gear")
    enrol(references, pictures[:2])
    assert len(load_reference_set(references, "gear").images()) == 2


def test_a_missing_golden_is_detected(references, pictures):
    """A deleted file is told by name."""
    golden = enrol(references, pictures[:2]).reference_set.goldens[0]
    (references / "gear" / "default" / golden.file).unlink()
    with pytest.raises(ReferenceSetError, match=r"golden '0\.png' of gear/default can't be read"):
        load_reference_set(references, "gear")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"goldens": []}', '{"goldens": [{"name": 1}]}'])
def test_a_damaged_manifest_is_told(references, pictures, text):
    """No stack trace, and what to do."""
    enrol(references, pictures[:2])
    (references / "gear" / "default" / "versions" / "0001.json").write_text(text)
    with pytest.raises(ReferenceSetError, match="backup or enrol again"):
        load_reference_set(references, "gear")


@pytest.mark.parametrize("text", ["", "{}", '{"version": "x"}'])
def test_a_damaged_pointer_is_told_and_mended_by_enrolling(references, pictures, text):
    """The advice in the message is true."""
    enrol(references, pictures[:2])
    (references / "gear" / "default" / "current.json").write_text(text)
    with pytest.raises(ReferenceSetError, match="enrol again"):
        load_reference_set(references, "gear")
    assert enrol(references, pictures[:2]).reference_set.version == 2


def test_a_damaged_recipe_is_told_with_its_path(references, pictures):
    """An unknown key in the recipe is an error that names the file."""
    enrol(references, pictures[:2])
    (references / "gear" / "default" / "recipe.json").write_text('{"imagesize": 256}')
    with pytest.raises(RecipeError, match=r"recipe\.json.*imagesize"):
        load_reference_set(references, "gear")


def test_many_at_once_do_not_share_a_version(references, pictures):
    """Four enrolments of the same view at the same time give four versions, none overwritten."""
    threads = [threading.Thread(target=enrol, args=(references, pictures[i : i + 2])) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list_versions(references, "gear") == [1, 2, 3, 4]
    names = {load_reference_set(references, "gear", version=v).goldens[0].name for v in range(1, 5)}
    assert names == {"0.png", "1.png", "2.png", "3.png"}


def test_a_lock_that_is_never_freed_is_told(references, pictures, monkeypatch):
    """Waiting ends with an error that says what holds it up."""
    monkeypatch.setattr(reference_store, "LOCK_SECONDS", 0.1)
    monkeypatch.setattr(reference_store, "_locked", lambda _: False)
    with pytest.raises(ReferenceSetError, match="another enrolment holds"):
        enrol(references, pictures[:2])


KILLED = """
import os, signal, sys
from pathlib import Path
from inspection import reference_store
from pipeline.enrolment import enrol_goldens
steps = int(sys.argv[1])
write = reference_store.write_bytes
def killed_after(path, data):
    global steps
    if steps == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    steps -= 1
    write(path, data)
reference_store.write_bytes = killed_after
files = [Path(name) for name in sys.argv[3:]]
enrol_goldens(Path(sys.argv[2]), product="gear", files=files, added_by="ben")
"""


@pytest.mark.parametrize("steps", range(5))
def test_a_killed_enrolment_leaves_the_old_version_current(references, pictures, steps):
    """Killed before the 1st to 5th file is written, the old goldens judge on, and enrolling again succeeds."""
    old = enrol(references, pictures[:2]).reference_set
    command = [sys.executable, "-c", KILLED, str(steps), str(references), *map(str, pictures[3:5])]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    assert subprocess.run(command, env=environment, check=False, timeout=120).returncode == -9
    assert load_reference_set(references, "gear").digest == old.digest
    report = enrol(references, pictures[3:5])
    assert [golden.name for golden in load_reference_set(references, "gear").goldens] == ["3.png", "4.png"]
    assert report.created
