"""The verdict records, on SQLite and on a real PostgreSQL server: what holds on one holds on the other."""

from __future__ import annotations

import json
import math
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from record_writer import start_writer
from sqlalchemy import event
from verdict_samples import GROUNDS, SCRATCH, UNCALIBRATED, judged

from inspection.errors import RecordsError
from inspection.verdicts import Provenance, Verdict
from pipeline.records import RowOrder, VerdictRecords
from pipeline.records.export import DTYPES


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def url(request, tmp_path):
    """The address of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'records.db'}"
    return request.getfixturevalue("postgres").new_database()


@pytest.fixture
def records(url):
    """Empty records."""
    with VerdictRecords(url) as opened:
        yield opened


def test_every_verdict_becomes_one_row(records):
    """Each kind of verdict is recorded, also of a frame that could not be inspected."""
    added = records.add([judged("a.png", 0.9), judged("b.png", 0.2), judged("c.png", None)], batch="night")
    assert added == 3
    assert records.counts("night") == {Verdict.PASS: 1, Verdict.FLAG: 1, Verdict.CANNOT_INSPECT: 1}


def test_the_same_frame_on_the_same_grounds_changes_nothing(records):
    """A second judging adds no row and leaves batch, similarity and moment as they were."""
    records.add([judged("a.png", 0.9)], batch="first")
    before = records.rows()
    assert records.add([judged("a.png", 0.1), judged("a.png", 0.1)], batch="second") == 0
    assert records.rows() == before


@pytest.mark.parametrize(
    "changed",
    [
        {"product": "nut"},
        {"view": "side"},
        {"sha256": "0" * 64},
        {"provenance": UNCALIBRATED},
        {"provenance": Provenance(encoder="E", reference_set="f" * 12, recipe="a" * 12, calibration="c" * 12)},
        {"provenance": Provenance(encoder="e" * 12, reference_set="F", recipe="a" * 12, calibration="c" * 12)},
        {"provenance": Provenance(encoder="e" * 12, reference_set="f" * 12, recipe="A", calibration="c" * 12)},
    ],
    ids=["product", "view", "content", "calibration", "encoder", "reference set", "recipe"],
)
def test_other_grounds_make_another_row(records, changed):
    """Whatever a verdict rests on is part of its key."""
    records.add([judged("a.png")], batch="night")
    assert records.add([judged("a.png", **changed)], batch="night") == 1


def test_uncalibrated_frames_are_judged_again_once_there_is_a_calibration(records):
    """CANNOT_INSPECT for want of a calibration does not stand in the way of the later verdict."""
    records.add([judged("a.png", None, provenance=UNCALIBRATED)], batch="night")
    assert records.judged("bolt", "top", GROUNDS) == set()
    assert len(records.judged("bolt", "top", UNCALIBRATED)) == 1
    assert records.add([judged("a.png", 0.9)], batch="morning") == 1


def test_judged_names_the_frames_of_these_grounds_only(records):
    """What is already judged is told by product, view and provenance, and by name where names are given."""
    mine = [judged(f"{number}.png") for number in range(3)]
    records.add([*mine, judged("x.png", product="nut"), judged("y.png", view="side")], batch="night")
    assert records.judged("bolt", "top", GROUNDS) == {(one.frame.frame, one.frame.sha256) for one in mine}
    assert {frame for frame, _ in records.judged("bolt", "top", GROUNDS, frames=["1.png", "7.png"])} == {"1.png"}
    assert records.judged("bolt", "top", GROUNDS, frames=[]) == set()


def test_judged_takes_any_number_of_names(records):
    """More names than a database takes in one statement are asked in portions."""
    records.add([judged(f"{number}.png") for number in range(1200)], batch="night")
    assert len(records.judged("bolt", "top", GROUNDS, frames={f"{number}.png" for number in range(100, 2000)})) == 1100


def test_a_row_holds_what_inspect_prints_and_where_it_came_from(records):
    """Nothing of the printed object is lost, and batch, station, moments, quality and picture come with it."""
    one = judged("sub/a.png", 0.2)
    records.add([one], batch="night", station="line 3", evidence={"sub/a.png": Path("evidence") / "a.jpg"})
    (row,) = records.rows()
    assert one.to_dict().items() <= row.items()
    assert row["regions"] == [
        {"x": 10, "y": 20, "width": 30, "height": 8, "area": 120, "similarity": 0.25, "type": None, "types": None}
    ]
    assert (row["batch"], row["station"], row["evidence"]) == ("night", "line 3", "evidence/a.jpg")
    assert (row["brightness"], row["focus"], row["registration_quality"]) == (120.0, 30.0, 0.97)
    assert row["matrix"] == np.eye(3).tolist()
    assert row["captured_at"] == "2026-03-01T22:15:00+00:00"
    assert datetime.fromisoformat(row["judged_at"]).utcoffset().total_seconds() == 0
    json.dumps(row)


def test_unknown_moments_and_missing_figures_are_null(records):
    """A frame that could not even be read still has its row, with null where there is nothing to say."""
    bare = judged("a.png", None, captured_at="", sha256="", matrix=None, brightness=None, provenance=UNCALIBRATED)
    records.add([bare], batch="night")
    (row,) = records.rows()
    assert {row[name] for name in ("captured_at", "matrix", "brightness", "similarity", "calibration")} == {None}


def test_local_moments_are_kept_in_utc(records):
    """A capture time with an offset is the same moment in UTC."""
    records.add([judged("a.png", captured_at="2026-03-01T23:15:00+01:00")], batch="night")
    assert records.rows()[0]["captured_at"] == "2026-03-01T22:15:00+00:00"


def test_numbers_json_can_not_say_become_null(records):
    """An infinite distance or a NaN in a region costs that figure, not the row."""
    region = type(SCRATCH)(x=np.int64(1), y=2, width=3, height=4, area=5, similarity=math.nan)
    records.add([judged("a.png", 0.2, distance=math.inf, regions=(region,))], batch="night")
    (row,) = records.rows()
    assert row["distance"] is None
    assert row["regions"][0]["similarity"] is None


@pytest.mark.parametrize(
    "name", ["ä b №子.png", "raw\udcff\udc80.png", "f'); DROP TABLE verdicts; --.png", "d/" * 1500 + "x"]
)
def test_any_file_name_is_recorded_and_found_again(records, name):
    """Unicode, bytes that are no UTF-8, quotes and very long paths are names like any other."""
    assert records.add([judged(name)], batch="night") == 1
    assert {frame for frame, _ in records.judged("bolt", "top", GROUNDS)} == {name}
    assert {frame for frame, _ in records.judged("bolt", "top", GROUNDS, frames=[name])} == {name}
    json.dumps(records.rows()).encode()


def test_rows_come_worst_first(records):
    """The least similar frame leads; frames without a similarity come last."""
    records.add([judged("a.png", 0.4), judged("b.png", None), judged("c.png", 0.1), judged("d.png", 0.9)], batch="n")
    assert [row["frame"] for row in records.rows()] == ["c.png", "a.png", "d.png", "b.png"]
    assert [row["frame"] for row in records.rows(limit=2)] == ["c.png", "a.png"]
    assert [row["frame"] for row in records.rows(order=RowOrder.FRAME)] == ["a.png", "b.png", "c.png", "d.png"]


def test_rows_are_filtered_by_every_given_word(records):
    """Product, view, batch and verdict narrow the rows, together."""
    records.add([judged("a.png", 0.1), judged("b.png", 0.9), judged("c.png", 0.1, product="nut")], batch="one")
    records.add([judged("d.png", 0.1, view="side")], batch="two")
    assert {row["frame"] for row in records.rows(verdict=Verdict.FLAG)} == {"a.png", "c.png", "d.png"}
    assert {row["frame"] for row in records.rows(product="bolt", view="top", batch="one")} == {"a.png", "b.png"}
    assert records.rows(product="bolt", batch="two", verdict="PASS") == []


def test_batches_are_listed_latest_first_with_their_counts(records):
    """A batch is told by name, product and view, with its counts and the span in which it was judged."""
    records.add([judged("a.png", 0.1), judged("b.png", 0.9)], batch="monday")
    records.add([judged("c.png", None)], batch="tuesday")
    latest, earlier = records.batches()
    assert (latest.batch, earlier.batch) == ("tuesday", "monday")
    assert (earlier.product, earlier.view) == ("bolt", "top")
    assert earlier.counts == {Verdict.PASS: 1, Verdict.FLAG: 1, Verdict.CANNOT_INSPECT: 0}
    assert latest.first_judged_at >= earlier.last_judged_at


def test_the_records_are_still_there_when_opened_again(url):
    """Closing and opening keeps every row."""
    with VerdictRecords(url) as first:
        first.add([judged("a.png")], batch="night")
    with VerdictRecords(url) as second:
        assert len(second.rows()) == 1


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_exports_read_back_as_they_were(records, tmp_path, suffix):
    """Every row and column survives the way into a file and back, in folders made for it."""
    records.add([judged("a.png", 0.2), judged("ü b.png", None, captured_at="")], batch="night")
    path = tmp_path / "new" / "folder" / f"verdicts{suffix}"
    assert records.export(path) == 2
    table = _read(path)
    assert list(table.columns) == list(DTYPES)
    assert sorted(table["frame"]) == ["a.png", "ü b.png"]
    flagged = table[table["verdict"] == "FLAG"].iloc[0]
    assert (flagged["similarity"], bool(flagged["provisional"])) == (0.2, False)
    assert flagged["captured_at"] == pd.Timestamp("2026-03-01T22:15:00Z")
    assert json.loads(flagged["regions"])[0]["width"] == 30
    assert list(path.parent.iterdir()) == [path]


def test_an_empty_parquet_export_has_the_same_types(records, tmp_path):
    """Columns and types do not depend on what was found."""
    records.add([judged("a.png", None, captured_at="")], batch="night")
    records.export(tmp_path / "some.parquet")
    assert records.export(tmp_path / "none.parquet", product="unheard of") == 0
    some, none = pd.read_parquet(tmp_path / "some.parquet"), pd.read_parquet(tmp_path / "none.parquet")
    assert some.dtypes.to_dict() == none.dtypes.to_dict()
    assert len(none) == 0


def test_exports_are_filtered(records, tmp_path):
    """The words that filter rows filter an export too."""
    records.add([judged("a.png", 0.1), judged("b.png", 0.9)], batch="night")
    assert records.export(tmp_path / "flags.csv", verdict=Verdict.FLAG, batch="night") == 1


def test_an_export_of_another_kind_is_refused(records, tmp_path):
    """Only CSV and Parquet are written."""
    with pytest.raises(RecordsError, match=r"\.csv or \.parquet"):
        records.export(tmp_path / "verdicts.xlsx")


def test_an_export_that_fails_leaves_the_old_file_alone(records, tmp_path):
    """Half an export never takes the place of a whole one."""
    path = tmp_path / "verdicts.csv"
    path.write_text("the old one")
    records.add([judged("a.png")], batch="night")
    with records._database.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE verdicts RENAME TO gone")
    with pytest.raises(RecordsError):
        records.export(path)
    assert path.read_text() == "the old one"
    assert list(tmp_path.glob(".*.csv")) == []


def test_hundreds_of_rows_are_one_transaction(records):
    """A portion of frames is written at once: all of it or nothing, and not row by row."""
    commits = []
    event.listen(records._database.engine, "commit", commits.append)
    portion = [judged(f"{number}.png", 0.2) for number in range(500)]
    assert records.add(portion, batch="night") == 500
    assert len(commits) == 1


def test_four_processes_write_at_once(url):
    """Overlapping frames from several processes give one row each, and every new row is counted once."""
    writers = [start_writer(url, first, first + 100, 10) for first in (0, 40, 80, 120)]
    added = sum(int(line) for writer in writers for line in writer.communicate()[0].split())
    assert [writer.returncode for writer in writers] == [0, 0, 0, 0]
    with VerdictRecords(url) as records:
        assert len(records.rows()) == added == 220


def _read(path: Path) -> pd.DataFrame:
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    return pd.read_csv(path, parse_dates=["captured_at", "judged_at"])
