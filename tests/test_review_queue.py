"""The review queue in a real MLflow: pushed once whatever happens, answered in a browser, pulled back exactly."""

from __future__ import annotations

import shutil
import socket

import mlflow
import pytest
from reviewed_night import PARTS, judged_night, recipe_with

from inspection.errors import TrackingError
from inspection.recipe import ReviewSettings
from pipeline.records import ReviewRecords
from pipeline.review.items import DEFECT, GOOD
from pipeline.review.pulling import label_of, pull_reviews, review_status
from pipeline.review.pushing import push_reviews
from pipeline.servers import start_mlflow_server, wait_until_healthy
from pipeline.tracking.connection import connected
from pipeline.tracking.review_room import ReviewRoom, review_room

EVERYTHING = ReviewSettings(share=1.0, defect_types=("scratch", "stain"))
COMMENT = "a scratch, müde Augen <b>& all</b>"


@pytest.fixture
def line(plates, home, tmp_path):
    """Ten judged plates, all of which are to be reviewed."""
    line = plates.copy(home)
    recipe_with(line, EVERYTHING)
    judged_night(line, tmp_path / "night")
    return line


def traces(line):
    """All traces in the line's MLflow."""
    with review_room(line, "plate", "default") as room:
        return room._client.search_traces(locations=[room._experiment], max_results=500)


def queue_counts(line):
    """Answered and all parts of the night's only queue."""
    with review_room(line, "plate", "default") as room, ReviewRecords(line.records_url) as records:
        name = records.items()[0].queue
        return room.counts(room.queue(name, ()))


def test_pushed_parts_are_traces_in_a_queue_once(line):
    """Each with its pictures, tags and place; pushing again changes nothing."""
    done = push_reviews(line)
    assert done.total == PARTS
    assert push_reviews(line).total == 0
    found = {trace.info.trace_id: trace for trace in traces(line)}
    assert len(found) == PARTS
    assert queue_counts(line) == (0, PARTS)
    with ReviewRecords(line.records_url) as records:
        for item in records.items():
            info = found[item.trace].info
            assert info.tags["goldentwin.key"] == item.key
            assert f"request_id={item.trace}" in info.response_preview
            assert info.request_preview.startswith(f"{item.row['part_id']}, plate/default")
            assert "FLAG" not in info.request_preview + info.response_preview
            assert found[item.trace].data.spans[0].outputs["verdict"] == item.row["verdict"]


def test_the_verdict_is_shown_where_the_recipe_says_so(plates, home, tmp_path):
    """With similarity, threshold and regions."""
    line = plates.copy(home)
    recipe_with(line, ReviewSettings(share=0.0, shows_verdict=True))
    judged_night(line, tmp_path / "night")
    push_reviews(line)
    for trace in traces(line):
        assert trace.info.response_preview.startswith("FLAG: similarity 0."), "readable where Markdown is shown raw"
        assert "| x | y |" in trace.info.response_preview


def test_a_push_that_is_killed_again_and_again_loses_and_doubles_nothing(line, monkeypatch):
    """Between traces, between the traces and the queue, and between the queue and our own note of it."""
    whole, pushed = ReviewRoom._send, []

    def killed_on_the_way(self, trace):
        pushed.append(trace)
        if len(pushed) == 4:
            raise KeyboardInterrupt
        whole(self, trace)

    monkeypatch.setattr(ReviewRoom, "_send", killed_on_the_way)
    with pytest.raises(KeyboardInterrupt):
        push_reviews(line)
    monkeypatch.setattr(ReviewRoom, "_send", whole)
    with monkeypatch.context() as patch:
        patch.setattr("mlflow.genai.review_queues.add_items_to_review_queue", _killed)
        with pytest.raises(KeyboardInterrupt):
            push_reviews(line)
    with monkeypatch.context() as patch:
        patch.setattr(ReviewRecords, "mark_pushed", _killed)
        with pytest.raises(KeyboardInterrupt):
            push_reviews(line)
    assert push_reviews(line).total == PARTS
    assert len(traces(line)) == PARTS
    assert queue_counts(line) == (0, PARTS)


def _killed(*_, **__):
    raise KeyboardInterrupt


def test_answers_come_back_once_and_changes_beside_them(line):
    """Two reviewers, a change of mind, a type, a comment; a second pull brings nothing new."""
    push_reviews(line)
    with ReviewRecords(line.records_url) as records:
        first, second = records.items()[:2]
    with connected(line):
        given = _answer(first.trace, "verdict", value=True, who="anna", rationale=COMMENT)
        _answer(first.trace, "defect_type", value="stain", who="anna")
        _answer(second.trace, "verdict", value=True, who="anna")
        _answer(second.trace, "verdict", value=False, who="ben")
    assert pull_reviews(line).new == 4
    assert pull_reviews(line).new == 0
    labels = label_of(line, "plate", "default")
    assert (labels[first.key].value, labels[first.key].defect_type, labels[first.key].comments) == (
        DEFECT, "stain", (COMMENT,),
    )  # fmt: skip
    assert review_status(line, "plate", "default").nights[0].disputed == 1
    with connected(line):
        mlflow.update_assessment(first.trace, given.assessment_id, _feedback("verdict", value=False, who="anna"))
    assert pull_reviews(line).new == 1
    assert label_of(line, "plate", "default")[first.key].value == GOOD
    with ReviewRecords(line.records_url) as records:
        assert len(records.answers(product="plate", view="default")) == 5


def test_answers_survive_another_push(line):
    """Where the note of the push was lost, the trace is sent again, and keeps what people said."""
    push_reviews(line)
    with ReviewRecords(line.records_url) as records:
        item = records.items()[0]
        with records._database.writing() as connection:
            connection.exec_driver_sql("UPDATE review_items SET pushed_at = NULL, trace = ''")
    with connected(line):
        _answer(item.trace, "verdict", value=True, who="anna")
    assert push_reviews(line).total == PARTS
    assert pull_reviews(line).new == 1


def test_nothing_is_lost_while_mlflow_is_away(line, monkeypatch):
    """A push says so and leaves everything waiting; so does a missing picture, but for that part alone."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{_free_port()}")
    with pytest.raises(TrackingError, match="can't be reached"):
        push_reviews(line)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    with ReviewRecords(line.records_url) as records:
        (line.home / records.items()[0].picture).unlink()
    done = push_reviews(line)
    assert (done.total, len(done.lost)) == (PARTS - 1, 1)


@pytest.mark.server
@pytest.mark.browser
def test_a_reviewer_clicks_and_the_label_comes_back(line, monkeypatch):
    """Open the queue, see the picture, say Real defect with a comment, submit, next; pull yields exactly that."""
    from playwright.sync_api import sync_playwright

    server = start_mlflow_server(line, _free_port())
    try:
        wait_until_healthy(server)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.address)
        address = next(iter(push_reviews(line).addresses.values()))
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=_chromium(), args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1500, "height": 1000})
            page.set_default_timeout(60_000)
            page.goto(address)
            page.get_by_role("button", name="Start review").click()
            picture = page.get_by_alt_text("golden, frame, similarity map")
            picture.wait_for()
            page.wait_for_function("document.querySelector('img[alt^=golden]').naturalWidth > 0")
            seen = str(picture.get_attribute("src"))
            page.get_by_text("Real defect", exact=True).click()
            page.get_by_placeholder("Rationale").first.fill(COMMENT)
            page.get_by_role("combobox").last.click()
            page.get_by_text("scratch", exact=True).click()
            page.get_by_role("button", name="Submit").click()
            page.wait_for_function("s => !document.querySelector(`img[src='${s}']`)", arg=seen)
            assert "1 of 10 reviewed" in page.inner_text("body")
            browser.close()
        assert pull_reviews(line).new == 2
        labels = label_of(line, "plate", "default")
    finally:
        server.stop()
    (label,) = labels.values()
    assert f"request_id=tr-{label.key}&" in seen
    assert (label.value, label.defect_type, label.comments) == (DEFECT, "scratch", (COMMENT,))


def _answer(trace, name, *, value, who, rationale=None):
    return mlflow.log_assessment(trace, _feedback(name, value=value, who=who, rationale=rationale))


def _feedback(name, *, value, who, rationale=None):
    from mlflow.entities import AssessmentSource, Feedback

    source = AssessmentSource(source_type="HUMAN", source_id=who)
    return Feedback(name=name, value=value, source=source, rationale=rationale)


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _chromium():
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
