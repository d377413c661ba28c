"""The command line's contract: help, JSON, exit codes, options wherever one puts them, and a quick start."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import get_args

import pytest
import typer
from drawn_night import PRODUCT
from plate_samples import DEAD_MLFLOW, calibrated_plate, enrolled_plate, labelled_plates, write_plates

from flows import run_now
from flows.commands import app, demo, options, run

COMMANDS = {
    " ".join([name, *inner]): command
    for name, group in typer.main.get_command(app).commands.items()
    for inner, command in (
        [((sub,), one) for sub, one in group.commands.items()] if hasattr(group, "commands") else [((), group)]
    )
}
STATELESS = {"deployments"}  # reads one file and writes another
INSPECT_KEYS = [
    *("frame", "part_id", "product", "view", "verdict", "similarity", "distance", "threshold", "regions", "reason"),
    *("encoder", "reference_set", "recipe", "calibration", "milliseconds"),
]
EVALUATE_KEYS = [
    *("image_auroc", "pixel_auroc", "aupro", "overkill", "escape", "overkill_at_zero_escape", "not_inspected"),
    *("frames_per_second", "per_type", "boxes"),
]


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """MLflow is down and Prefect is left out: neither has a part in this."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", DEAD_MLFLOW)
    monkeypatch.setattr(run_now, "run_nightly", lambda night, _watcher=None: run_now.run_plainly(night))


@pytest.fixture
def plate(home):
    """A home with an enrolled plate."""
    return enrolled_plate(home)


def printed(capsys, *arguments):
    """The JSON object that a command prints and nothing else."""
    assert run([*map(str, arguments), "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    return json.loads(line)


def test_contract_names_are_there():
    """Checks outside the project call these."""
    assert {
        "enrol",
        "calibrate",
        "inspect",
        "evaluate",
        "batch",
        "ui",
        "doctor",
        "demo",
        "promote",
        "rollback",
        "train",
    } <= set(COMMANDS)
    assert {"review push", "review pull"} <= set(COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help_with_a_sentence_for_each_option(name, capsys):
    """Also for each argument; and every command has --json, --home and --references."""
    assert run([*name.split(), "--help"]) == 0
    assert "Usage" in capsys.readouterr().out
    command = COMMANDS[name]
    assert command.help
    silent = [one.name for one in command.params if one.name != "help" and not (one.help or "").endswith(".")]
    assert silent == []
    everywhere = {"as_json"} if command.name in STATELESS else {"as_json", "home", "references"}
    assert everywhere <= {one.name for one in command.params}


def test_help_imports_nothing_heavy():
    """`goldentwin --help` answers at once."""
    heavy = {"torch", "mlflow", "prefect", "scipy", "cv2", "sqlalchemy", "pandas", "numpy"}
    code = f"import sys, flows.commands; print(sorted({heavy!r} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.strip() == "[]"


@pytest.mark.usefixtures("plate")
def test_inspect_needs_neither_mlflow_nor_prefect(tmp_path):
    """Their imports take seconds, and verdicts don't depend on them."""
    (frame,) = write_plates(tmp_path, 1)
    code = (
        f"import sys; from flows.commands import run; run(['inspect', {PRODUCT!r}, {str(frame)!r}]); "
        "print(sorted({'mlflow', 'prefect'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.splitlines()[-1] == "[]"


def test_names_of_engines_and_registrations_are_those_of_the_inspection():
    """The command line knows them without importing torch."""
    from inspection.engine import EngineChoice
    from inspection.recipe import RegistrationMethod

    assert set(get_args(options.EngineName)) == set(EngineChoice)
    assert set(get_args(options.RegistrationName)) == set(RegistrationMethod)


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["inspect"],
        ["inspect", PRODUCT],
        ["inspect", PRODUCT, "a.png", "--engine", "tpu"],
        ["enrol", PRODUCT],
        ["enrol", PRODUCT, "--from", "x", "--register", "magic"],
        ["calibrate", PRODUCT],
        ["calibrate", PRODUCT, "--labelled", "x", "--max-overkill", "much"],
        ["calibrate", PRODUCT, "--labelled", "x", "--max-overkill", "5"],
        ["calibrate", PRODUCT, "--labelled", "x", "--cost-escape", "3"],
        ["batch", PRODUCT],
        ["batch", PRODUCT, "--frames", "x", "--chunk-size", "0"],
    ],
)
def test_wrong_usage_is_2(arguments, capsys):
    """And nothing is printed on standard output."""
    assert run(arguments) == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["inspect", "unknown", "a.png"],
        ["calibrate", "unknown", "--labelled", "x"],
        ["evaluate", "unknown", "--labelled", "x", "--json"],
        ["batch", "unknown", "--frames", "."],
        ["enrol", "unknown", "--from", "nowhere.png"],
        ["versions", "unknown"],
        ["export", "table.xls"],
    ],
)
def test_failure_is_1_and_one_message_on_standard_error(arguments, capsys):
    """No traceback, and no half of a JSON object either."""
    assert run(arguments) == 1
    said = capsys.readouterr()
    assert said.err.startswith("error: ")
    assert "Traceback" not in said.err
    assert said.out == ""


@pytest.mark.parametrize("before", [True, False])
def test_home_may_stand_before_or_after_the_command(before, tmp_path, monkeypatch, capsys):
    """And so may references."""
    enrolled_plate(tmp_path / "elsewhere")
    monkeypatch.delenv("GOLDENTWIN_HOME")
    named = ["--home", str(tmp_path / "elsewhere"), "--references", str(tmp_path / "elsewhere" / "reference_images")]
    arguments = [*named, "versions", PRODUCT] if before else ["versions", PRODUCT, *named]
    assert printed(capsys, *arguments)["current"] == 1


@pytest.mark.parametrize("form", ["several", "repeated", "folder"])
def test_enrol_takes_files_in_every_form(form, tmp_path, capsys):
    """`--from a b`, `--from a --from b` and `--from DIR` give the same goldens in the same order."""
    first, second = write_plates(tmp_path / "goldens", 2)
    sources = {
        "several": ["--from", first, second],
        "repeated": ["--from", first, "--from", second],
        "folder": ["--from", tmp_path / "goldens"],
    }[form]
    enrolled = printed(capsys, "enrol", PRODUCT, *sources, "--by", "anna", "--image-size", "64", "--register", "none")
    assert [golden["name"] for golden in enrolled["goldens"]] == [first.name, second.name]
    assert enrolled["created"]
    assert enrolled["provisional"]


@pytest.mark.usefixtures("plate")
def test_inspect_prints_an_object_a_line(tmp_path, capsys):
    """With the keys of the contract; a file that is missing or no image is CANNOT_INSPECT and no failure."""
    (good,) = write_plates(tmp_path, 1)
    (bad,) = write_plates(tmp_path, 1, first=50, scratched=True)
    (tmp_path / "text.png").write_text("no image")
    files = [str(good), str(bad), str(tmp_path / "text.png"), str(tmp_path / "missing.png")]
    assert run(["inspect", PRODUCT, *files, "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["verdict"] for line in lines] == ["PASS", "FLAG", "CANNOT_INSPECT", "CANNOT_INSPECT"]
    assert all(list(line)[: len(INSPECT_KEYS)] == INSPECT_KEYS for line in lines)
    assert all(line["provisional"] for line in lines)
    assert lines[1]["regions"]


@pytest.mark.usefixtures("plate")
def test_files_of_one_name_stay_apart(tmp_path, capsys):
    """Two folders may both have a plate10.png: their verdicts and pictures are not mixed up."""
    files = [*write_plates(tmp_path / "a", 1), *write_plates(tmp_path / "b", 1, scratched=True)]
    assert run(["inspect", PRODUCT, *map(str, files), "--json", "--evidence", str(tmp_path / "seen")]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["frame"], line["verdict"]) for line in lines] == [(str(files[0]), "PASS"), (str(files[1]), "FLAG")]
    assert len(list((tmp_path / "seen").iterdir())) == 2


@pytest.mark.usefixtures("plate")
def test_people_are_told_that_a_verdict_is_provisional(tmp_path, capsys):
    """And why a frame could not be inspected."""
    assert run(["inspect", PRODUCT, *map(str, write_plates(tmp_path, 1)), "missing.png"]) == 0
    said = capsys.readouterr().out
    assert "PROVISIONAL" in said
    assert "no such file" in said
    assert "1 PASS, 1 CANNOT INSPECT" in said


def test_evaluate_prints_exactly_the_contract(home, capsys):
    """One object with these keys."""
    calibrated_plate(home)
    figures = printed(capsys, "evaluate", PRODUCT, "--labelled", labelled_plates())
    assert list(figures) == EVALUATE_KEYS
    assert set(figures["escape"]) == {"rate", "low", "high", "n"}
    assert figures["per_type"] == {"scratch": {"n": 5, "escaped": 0}}


@pytest.mark.usefixtures("plate")
def test_calibrate_batch_and_export_speak_json(tmp_path, capsys):
    """The way of a night, by machine: calibrate, judge a folder, judge it again, export the rows."""
    calibrated = printed(capsys, "calibrate", PRODUCT, "--labelled", labelled_plates(), "--max-overkill", "5%")
    assert calibrated["provisional"] is False
    write_plates(tmp_path / "night", 4)
    write_plates(tmp_path / "night", 1, first=60, scratched=True)
    night = printed(capsys, "batch", PRODUCT, "--frames", tmp_path / "night")
    assert night["counts"] == {"PASS": 4, "FLAG": 1, "CANNOT_INSPECT": 0}
    assert (night["frames"], night["judged"]) == (5, 5)
    assert [row["frame"] for row in night["flagged"]] == ["plate60.png"]
    again = printed(capsys, "batch", PRODUCT, "--frames", tmp_path / "night")
    assert (again["judged"], again["counts"]) == (0, night["counts"])
    assert printed(capsys, "export", tmp_path / "rows.csv", "--verdict", "FLAG")["rows"] == 1


@pytest.mark.usefixtures("plate")
def test_batch_tells_people_what_it_found(tmp_path, capsys):
    """The verdicts, the worst part, that they are provisional, and what to do next."""
    write_plates(tmp_path / "night", 1, first=60, scratched=True)
    assert run(["batch", PRODUCT, "--frames", str(tmp_path / "night")]) == 0
    said = capsys.readouterr().out
    for words in ("FLAG", "plate60.png", "PROVISIONAL", "contact sheet", "goldentwin ui"):
        assert words in said


def test_older_goldens_come_back_with_their_calibration(home, tmp_path, capsys):
    """`restore` makes an older version judge, by the calibration that was made for it."""
    calibrated_plate(home)
    before = printed(capsys, "inspect", PRODUCT, labelled_plates() / "good" / "plate10.png")
    added = printed(capsys, "enrol", PRODUCT, "--from", *write_plates(tmp_path, 1, first=70), "--add")
    assert (added["version"], added["provisional"]) == (2, True)
    restored = printed(capsys, "restore", PRODUCT, "1")
    assert (restored["version"], restored["provisional"]) == (1, False)
    after = printed(capsys, "inspect", PRODUCT, labelled_plates() / "good" / "plate10.png")
    assert {**after, "milliseconds": 0} == {**before, "milliseconds": 0}


@pytest.mark.usefixtures("plate")
def test_deliver_fails_while_something_waits(capsys):
    """MLflow is down: what waits is told, and the exit code is 1."""
    assert run(["deliver", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["waiting"] == 1


def test_doctor_fails_where_something_is_broken(monkeypatch, capsys):
    """Each finding with its remedy, in both forms."""
    from pipeline import doctor
    from pipeline.doctor.finding import fail, ok

    monkeypatch.setattr(doctor, "examine", lambda _workspace: [ok("disk", "fine"), fail("home", "gone", "mount it")])
    assert run(["doctor"]) == 1
    assert "remedy: mount it" in capsys.readouterr().out
    assert run(["doctor", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["findings"][1]["status"] == "fail"


@pytest.mark.slow
def test_demo_goes_the_whole_way_and_does_nothing_twice(monkeypatch, capsys):
    """A short night: its truth is told by kind, and a second run judges nothing again."""
    monkeypatch.setattr(demo, "IMAGE_SIZE", 128)
    monkeypatch.setattr(demo, "GOOD", 50)
    monkeypatch.setattr(demo, "DEFECTS_PER_KIND", 1)
    first = printed(capsys, "demo", "--frames", "16")
    second = printed(capsys, "demo", "--frames", "16")
    assert first["night"]["judged"] == 16
    assert second["night"]["judged"] == 0
    assert second["score"] == first["score"]
