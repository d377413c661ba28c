"""Which parts are reviewed, in what order, and what is kept of them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from reviewed_night import PARTS, SCRATCHED, judged_night, recipe_with

from inspection.blind import blinded, draw_blind
from inspection.recipe import Recipe, RecipeError, ReviewSettings
from inspection.verdicts import Verdict
from pipeline.inspecting import inspect_frames
from pipeline.opening import open_inspector
from pipeline.reading import list_frames
from pipeline.records import ReviewRecords, VerdictRecords
from pipeline.review.items import ReviewItem
from pipeline.review.pushing import mixed, queue_name
from pipeline.review.selection import Kind, choose
from pipeline.tracking import traces

KEYS = [hashlib.md5(str(n).encode(), usedforsecurity=False).hexdigest() for n in range(20_000)]


def item(key, kind=Kind.FLAGGED, **row):
    """A part to be reviewed."""
    judged = {"judged_at": datetime(2026, 11, 23, 22, tzinfo=UTC).isoformat(), "station": "", **row}
    names = {"product": "plate", "view": "default", "batch": "b", "frame_file": "", "picture": "p.jpg"}
    return ReviewItem(key=key, kind=kind, chance=1.0, row=judged, **names)


def test_the_share_of_passed_parts_is_the_recipe_s():
    """Within four standard deviations; the same parts every time, others with another seed."""
    settings = ReviewSettings(share=0.05)
    chosen = [key for key in KEYS if choose(key, Verdict.PASS, settings)]
    assert abs(len(chosen) - 1000) < 4 * np.sqrt(20_000 * 0.05 * 0.95)
    assert chosen == [key for key in KEYS if choose(key, Verdict.PASS, settings)]
    others = {key for key in KEYS if choose(key, Verdict.PASS, replace(settings, seed=1))}
    assert len(others & set(chosen)) < 120


def test_flagged_parts_are_always_reviewed_and_refused_ones_never():
    """Whatever the share."""
    for share in (0.0, 1.0):
        settings = ReviewSettings(share=share)
        assert choose(KEYS[0], Verdict.FLAG, settings).chance == 1.0
        assert choose(KEYS[0], Verdict.CANNOT_INSPECT, settings) is None
        assert (choose(KEYS[0], Verdict.PASS, settings) is not None) is (share == 1.0)


@pytest.mark.parametrize(
    "bad", [{"share": 1.5}, {"share": -0.1}, {"defect_types": ("good",)}, {"defect_types": ("../x",)},
            {"defect_types": ("a", "a")}]
)  # fmt: skip
def test_settings_outside_their_range_are_refused(bad):
    """A share that is none, and types that can't name a folder."""
    with pytest.raises(RecipeError, match="review"):
        ReviewSettings(**bad)


def test_review_settings_survive_json_and_leave_the_digest_alone():
    """A calibration made before holds on."""
    recipe = Recipe(review=ReviewSettings(share=0.2, defect_types=("scratch",), shows_verdict=True))
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert recipe.digest == Recipe().digest


def test_worst_first_with_passed_parts_among_them():
    """Flagged ones keep their order; those that passed do not all come last."""
    flagged = [item(key) for key in KEYS[:40]]
    passed = [item(key, Kind.SAMPLED) for key in KEYS[40:60]]
    order = mixed([*flagged, *passed])
    assert [one for one in order if one.kind is Kind.FLAGGED] == flagged
    places = [place for place, one in enumerate(order) if one.kind is Kind.SAMPLED]
    assert min(places) < 15
    assert np.mean(places) == pytest.approx(29.5, abs=9)
    assert mixed([*passed, *flagged]) == order


@pytest.mark.parametrize(
    ("hour", "name"), [("23T21", "night 2026-11-23"), ("24T03", "night 2026-11-23"), ("24T11", "day 2026-11-24")]
)
def test_queues_are_named_after_the_evening(hour, name, monkeypatch):
    """A night that ends in the morning is one queue; a station has its own."""
    monkeypatch.setenv("TZ", "UTC")
    at = f"2026-11-{hour}:30:00+00:00"
    assert queue_name(item("k", judged_at=at)) == name
    assert queue_name(item("k", judged_at=at, station="L2")) == f"{name}, station L2"


def test_a_judged_night_keeps_frames_and_pictures(plates, home, tmp_path):
    """Every flagged part and all passed ones (share 1): the very file, and a picture; twice changes nothing."""
    line = plates.copy(home)
    recipe_with(line, ReviewSettings(share=1.0))
    night = judged_night(line, tmp_path / "night")
    with ReviewRecords(line.records_url) as reviews, VerdictRecords(line.records_url) as verdicts:
        items = reviews.items()
        assert reviews.choose(items) == 0
        counts = verdicts.counts(night.batch)
    assert [one.kind for one in items].count(Kind.FLAGGED) == counts[Verdict.FLAG] == SCRATCHED
    assert len(items) == PARTS
    for one in items:
        kept = (line.home / one.frame_file).read_bytes()
        assert hashlib.sha256(kept).hexdigest() == one.row["frame_sha256"]
        assert (line.home / one.picture).stat().st_size > 1000


def test_no_share_no_passed_parts(plates, home, tmp_path):
    """Only flagged parts are kept then."""
    line = plates.copy(home)
    recipe_with(line, ReviewSettings(share=0.0))
    judged_night(line, tmp_path / "night")
    with ReviewRecords(line.records_url) as reviews:
        assert {one.kind for one in reviews.items()} == {Kind.FLAGGED}


def test_the_blind_picture_is_alike_for_flagged_and_passed_parts(plates, home, tmp_path):
    """Both have outlined places, none says a threshold, and the threshold changes nothing of it."""
    line = plates.copy(home)
    night = judged_night(line, tmp_path / "night")
    inspector = open_inspector(line, "plate", engine="onnx")
    shapes = set()
    for verdict in inspect_frames(inspector, list_frames([night.folder])[:2], keep_images=True):
        judgement, image = verdict.judgement, verdict.frame.image
        assert blinded(judgement, image.shape[:2], inspector.first_golden.shape[:2]).regions
        picture = draw_blind(inspector.first_golden, image, judgement)
        other = replace(judgement, threshold=0.01, verdict=Verdict.PASS, regions=())
        assert np.array_equal(picture, draw_blind(inspector.first_golden, image, other))
        shapes.add(picture.shape)
    assert len(shapes) == 1


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("frame_0134", "frame_0134"),
        ("_x_ *b* <img>", r"\_x\_ \*b\* \<img\>"),
        ("[a](b) `c` #d", r"\[a\]\(b\) \`c\` \#d"),
        ("two\nlines", "two lines"),
    ],
)
def test_a_part_s_name_breaks_out_of_no_markdown_and_reads_well_raw(name, shown):
    """The review pane renders it, the queue's list does not: only what Markdown would take is escaped."""
    assert traces._escaped(name) == shown
