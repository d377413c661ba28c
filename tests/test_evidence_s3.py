"""Evidence in S3: the same names, bytes and records as in the home; a store that is away costs only time."""

from __future__ import annotations

import threading
import time
from hashlib import sha256

import numpy as np
import pytest
from drawn_line import write
from drawn_night import PRODUCT, draw_part
from line_samples import ListCamera, ListSink, night, run
from reviewed_night import judged_night
from s3_server import BUCKET, SECRET, running_s3

from inspection.errors import EvidenceError
from pipeline.batch import judge_chunk
from pipeline.cameras import EndOfFramesError
from pipeline.evidence import (
    evidence_ages,
    has_evidence,
    keep_evidence,
    read_evidence,
    remove_evidence,
    write_evidence,
)
from pipeline.evidence_s3 import S3Store
from pipeline.evidence_store import FolderStore, checked
from pipeline.flagged_sheet import draw_contact_sheet
from pipeline.line.events import EventKind
from pipeline.planning import plan_batch
from pipeline.records import LineEventRecords, VerdictRecords

STRIP = np.full((40, 90, 3), (200, 60, 20), np.uint8)
OUTWARD = (
    "records.db",
    "evidence",
    "evidence/",
    "evidence/../records.db",
    "evidence/a/../../../x.jpg",
    "evidence//a.jpg",
    "evidence/./a.jpg",
    "evidence/a\\..\\b.jpg",
    "evidence/a\nb.jpg",
    "evidence/a\0.jpg",
    "/etc/hostname",
    "../evidence/a.jpg",
    "s3://other/evidence/a.jpg",
    "",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """An S3 server for tests that don't stop it."""
    with running_s3(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture
def in_s3(server, monkeypatch, request):
    """Evidence goes to a prefix of the test's own."""
    prefix = sha256(request.node.name.encode()).hexdigest()[:12]
    use(server, monkeypatch, prefix)
    return prefix


def use(server, monkeypatch, prefix):
    """Let this process keep evidence there."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GOLDENTWIN_EVIDENCE_URL", f"s3://{BUCKET}/{prefix}")


def rows_of(workspace):
    """The rows but for what the clock says."""
    clock = ("judged_at", "milliseconds")
    with VerdictRecords(workspace.records_url) as records:
        return [{name: value for name, value in row.items() if name not in clock} for row in records.rows()]


def shown(workspace, batch):
    """The bytes of the contact sheet."""
    with VerdictRecords(workspace.records_url) as records:
        rows = [row for row in records.rows(batch=batch) if row["verdict"] == "FLAG"]
    return draw_contact_sheet(workspace, PRODUCT, "default", batch, rows).read_bytes()


@pytest.mark.server
def test_the_same_night_with_and_without_s3(plates, server, tmp_path, monkeypatch):
    """Rows, picture names, pictures and contact sheet are the same; with S3 no picture lies in the home."""
    here, there = (plates.copy(tmp_path / name) for name in ("here", "there"))
    at_home = judged_night(here, tmp_path / "night")
    use(server, monkeypatch, "same/night")
    in_bucket = judged_night(there, tmp_path / "night2")
    files = {path.relative_to(here.home).as_posix(): path.read_bytes() for path in here.evidence.rglob("*.jpg")}
    objects = {f"evidence/{key.removeprefix('same/night/')}": data for key, data in server.objects("same/").items()}
    assert len(files) >= 2
    renamed = {name.replace(at_home.batch, in_bucket.batch): data for name, data in files.items()}
    assert objects == renamed
    told = [
        {**row, "batch": in_bucket.batch, "evidence": (row["evidence"] or "").replace(at_home.batch, in_bucket.batch)}
        for row in rows_of(here)
    ]
    found = [{**row, "evidence": row["evidence"] or ""} for row in rows_of(there)]
    for row in (*told, *found):
        row.pop("captured_at")
    assert found == told
    assert not there.evidence.exists()
    sheet = shown(there, in_bucket.batch)
    monkeypatch.delenv("GOLDENTWIN_EVIDENCE_URL")
    assert sheet == shown(here, at_home.batch)


@pytest.mark.server
def test_a_portion_waits_for_s3(plates, tmp_path, monkeypatch):
    """While S3 is away nothing of a portion is recorded; judged again it is all there, and no secret was told."""
    line = plates.copy(tmp_path / "home")
    write(tmp_path / "night", [draw_part(300 + n, scratched=n % 5 == 0) for n in range(10)])
    with running_s3(tmp_path) as server:
        use(server, monkeypatch, "night")
        plan = plan_batch(line, PRODUCT, "default", tmp_path / "night", engine="onnx", chunk_size=5)
        judge_chunk(plan, plan.chunks[0])
        held = server.stop()
        began = time.monotonic()
        with pytest.raises(EvidenceError, match=r"s3://plant/night/.*; start it, or mend MLFLOW_S3_ENDPOINT") as told:
            judge_chunk(plan, plan.chunks[1])
        assert time.monotonic() - began < 30
        assert SECRET not in str(told.value)
        assert len(rows_of(line)) == 5
        with pytest.raises(EvidenceError, match="can't be read"):
            shown(line, plan.batch)
        server.start_again(held)
        judge_chunk(plan, plan.chunks[1])
        named = [row["evidence"] for row in rows_of(line) if row["evidence"]]
        assert (len(rows_of(line)), len(named)) == (10, 2)
        assert all(has_evidence(line, evidence) for evidence in named)
        assert shown(line, plan.batch).startswith(b"\xff\xd8")


@pytest.mark.server
@pytest.mark.slow
def test_a_line_outlives_s3(plates, tmp_path, monkeypatch):
    """All parts are told meanwhile; afterwards each is recorded, the flagged ones with the picture in the bucket."""
    line = plates.copy(tmp_path / "home")
    sink, images = ListSink(), night(40, scratched_every=5)
    with running_s3(tmp_path) as server:
        use(server, monkeypatch, "line")

        def trouble(_line):
            wait(lambda: len(sink.signals) >= 10)
            held = server.stop()
            wait(lambda: len(sink.signals) >= 40, 60)
            time.sleep(3)
            server.start_again(held)
            wait(lambda: len(rows_of(line)) == 40)
            time.sleep(1.5)  # the line says that they are back

        thread = threading.Thread(target=trouble, args=[None])

        class Waits(ListCamera):
            """The end comes only once S3 is back."""

            def read(self, seconds):
                """As a camera whose part is late."""
                try:
                    return super().read(seconds)
                except EndOfFramesError:
                    if not thread.is_alive():
                        raise
                    return None

        run(line, [], sink, camera=Waits(images, every=0.1), before=lambda _line: thread.start())
        thread.join()
        rows = rows_of(line)
        flagged = [row for row in rows if row["verdict"] == "FLAG"]
        with LineEventRecords(line.records_url) as records:
            kinds = {event.kind for event in records.events("line1", limit=1000)}
        assert [signal.sequence for signal in sink.signals] == list(range(1, 41))
        assert len(rows) == 40
        assert len(flagged) >= 8
        assert all(row["evidence"] and read_evidence(line, row["evidence"]) for row in flagged)
        assert {EventKind.RECORDS_LOST, EventKind.RECORDS_BACK} <= kinds
        assert not line.evidence.exists()


def wait(what, seconds=30.0):
    """Wait until it is so."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.server
@pytest.mark.parametrize("evidence", OUTWARD)
def test_no_name_leads_out_of_the_prefix(server, in_s3, workspace, evidence):
    """Neither to write, read nor remove; nothing comes to be in the bucket. A row of such a name has no picture."""
    store = S3Store(f"s3://{BUCKET}/{in_s3}", before=FolderStore(workspace.home))
    before = server.objects()
    for do in (checked, store.read, store.has, store.remove, lambda name: store.write(name, b"x")):
        with pytest.raises(EvidenceError, match="no evidence picture"):
            do(evidence)
    assert server.objects() == before
    assert read_evidence(workspace, evidence) is None
    assert not has_evidence(workspace, evidence)


@pytest.mark.server
@pytest.mark.parametrize("place", [("..", "v", "b"), ("p/../..", "v", "b"), ("p", "", "b"), ("p", "v", "../../x")])
def test_no_place_leads_out(server, in_s3, workspace, monkeypatch, place):
    """Product, view and batch are one level each, in S3 and in the home."""
    with pytest.raises(EvidenceError, match="no evidence picture"):
        keep_evidence(workspace, place, "a.png", STRIP)
    monkeypatch.delenv("GOLDENTWIN_EVIDENCE_URL")
    with pytest.raises(EvidenceError, match="no evidence picture"):
        keep_evidence(workspace, place, "a.png", STRIP)
    assert server.objects(in_s3) == {}
    assert not workspace.home.exists()


@pytest.mark.parametrize(
    "address",
    [
        "s3://", "s3:///x", "http://plant/x", "plant", "s3://Plant/x", "s3://plant/../other", "s3://plant/a/./b",
        "s3://plant/x?versionId=1", "s3://plant/x#y", "s3://key:secret-of-mine@plant/x", "s3://plant/a b",
    ],
)  # fmt: skip
def test_only_a_bucket_is_an_address(workspace, monkeypatch, address):
    """What is no address is refused by the variable's name, without repeating what may be a password."""
    monkeypatch.setenv("GOLDENTWIN_EVIDENCE_URL", address)
    with pytest.raises(EvidenceError, match="GOLDENTWIN_EVIDENCE_URL") as told:
        keep_evidence(workspace, ("p", "v", "b"), "a.png", STRIP)
    assert "secret-of-mine" not in str(told.value)


@pytest.mark.server
def test_a_bucket_that_is_missing_is_told(server, in_s3, workspace, monkeypatch):
    """The remedy is the bucket and not the server."""
    monkeypatch.setenv("GOLDENTWIN_EVIDENCE_URL", f"s3://other-bucket/{in_s3}")
    with pytest.raises(EvidenceError, match=r"NoSuchBucket\); make the bucket"):
        keep_evidence(workspace, ("p", "v", "b"), "a.png", STRIP)
    assert server.objects(in_s3) == {}


@pytest.mark.server
def test_an_address_with_a_password_is_not_told(workspace, monkeypatch):
    """Neither that of the endpoint, nor the key, stands in an error."""
    for name, value in {
        "MLFLOW_S3_ENDPOINT_URL": f"http://me:{SECRET}@127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "a-key",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "GOLDENTWIN_EVIDENCE_URL": "s3://plant/x",
    }.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(EvidenceError) as told:
        keep_evidence(workspace, ("p", "v", "b"), "a.png", STRIP)
    assert SECRET not in str(told.value)
    assert told.value.__cause__ is None
    assert told.value.__suppress_context__


@pytest.mark.server
def test_pictures_of_before_stay_where_they_are(server, in_s3, workspace):
    """What lay in the home when S3 was switched on is read, listed and removed there; new ones are in S3."""
    old = write_evidence(workspace.evidence / "p" / "v" / "b1", "old.png", STRIP).relative_to(workspace.home)
    new = keep_evidence(workspace, ("p", "v", "b2"), "new.png", STRIP)
    names = [path.as_posix() for path in (old, new)]
    assert read_evidence(workspace, names[0]) == read_evidence(workspace, names[1]) != None  # noqa: E711 - a chain
    assert [(one.evidence, one.batch) for one in evidence_ages(workspace)] == [(names[0], "b1"), (names[1], "b2")]
    for name in names:
        assert has_evidence(workspace, name)
        remove_evidence(workspace, name)
        remove_evidence(workspace, name)
        assert not has_evidence(workspace, name)
    assert list(evidence_ages(workspace)) == []
    assert server.objects(in_s3) == {}


@pytest.mark.server
def test_pictures_of_a_batch_are_listed_together(in_s3, workspace):
    """Also those of review and shadow, and beside a batch whose name begins alike; more than one page of them."""
    for batch in ("b1", "b1-x", "b"):
        for place in ((), ("review",), ("shadow-abc",)):
            keep_evidence(workspace, ("p", "v", batch, *place), "a.png", STRIP)
    found = [one.batch for one in evidence_ages(workspace)]
    assert len(found) == 9
    assert sum(found[at] != found[at - 1] for at in range(1, 9)) == 2
    assert in_s3
