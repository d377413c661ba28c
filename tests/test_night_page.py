"""The page of a night: what a reviewer reads in the Prefect UI."""

from __future__ import annotations

import re

from night_samples import flagged_row, night_summary

from flows.night_page import LARGEST_SHEET, LISTED_PARTS, headline, night_page
from pipeline.tracking.run_link import RunLink


def test_headline_counts_every_verdict():
    """The one line beside a run says how many frames there were, and what was said of them."""
    assert headline(night_summary()) == "bottle/default: 10 frames in 4 s: 7 PASS, 2 FLAG, 1 CANNOT_INSPECT"


def test_page_shows_shares_speed_threshold_and_grounds():
    """The page names each verdict's share, the speed, the threshold and the four hashes behind it."""
    page = night_page(night_summary())
    for expected in (
        "# bottle/default: 2 of 10 frames flagged",
        "| PASS | 7 | 70.0% |",
        r"| CANNOT\_INSPECT | 1 | 10.0% |",
        "8 of 12 frames judged by this run in 4.0 s, 2.0 frames/s",
        "| threshold | 0.500 |",
        "| encoder | `eeeeeeeeeeee` |",
        "| calibration | `cccccccccccc` |",
    ):
        assert expected in page


def test_page_says_when_the_threshold_is_provisional():
    """A night judged from goldens alone says so at the top and names the command that mends it."""
    page = night_page(night_summary(provisional=True))
    assert "> **Provisional**" in page
    assert "`goldentwin calibrate bottle --labelled DIR`" in page
    assert "rovisional" not in night_page(night_summary())


def test_page_lists_the_worst_parts_only():
    """However many parts are flagged, the page stays readable and says that there are more."""
    rows = tuple(flagged_row(part_id=f"part{i:03}") for i in range(LISTED_PARTS + 5))
    page = night_page(night_summary(flagged=rows))
    assert page.count("| part") == LISTED_PARTS + 1  # with the table's head
    assert f"the {LISTED_PARTS} worst of {LISTED_PARTS + 5}" in page
    assert "part000" in page
    assert f"part{LISTED_PARTS:03}" not in page


def test_page_names_the_run_in_mlflow():
    """Where MLflow was reached, the page leads to the batch's run; else it says that it is told later."""
    link = RunLink(run_id="1a2b", address="http://127.0.0.1:5000/#/experiments/1/runs/1a2b")
    assert f"| MLflow | [run `1a2b`]({link.address}) |" in night_page(night_summary(run=link))
    assert "| MLflow | logged |" in night_page(night_summary())
    assert "| MLflow | not told yet" in night_page(night_summary(tracked=False))


def test_names_from_outside_cannot_change_the_page():
    """A file name with Markdown, HTML or line breaks in it is shown as it is."""
    page = night_page(night_summary(flagged=(flagged_row(part_id="a|b\n<img src=x> ![y](http://z)"),)))
    row = next(line for line in page.splitlines() if "img" in line)
    assert row.count(" | ") == 5
    assert not re.search(r"(?<!\\)<|(?<!\\)\[", row)


def test_contact_sheet_travels_inside_the_page(tmp_path):
    """The picture is seen by whoever sees the page, wherever the file lies."""
    sheet = tmp_path / "sheet.png"
    sheet.write_bytes(b"picture")
    assert "(data:image/png;base64,cGljdHVyZQ==)" in night_page(night_summary(contact_sheet=sheet))


def test_too_large_or_missing_contact_sheet_leaves_the_page_whole(tmp_path):
    """A huge picture is named instead, and one that is gone is left out."""
    sheet = tmp_path / "sheet.jpg"
    assert "Contact sheet" not in night_page(night_summary(contact_sheet=sheet))
    sheet.write_bytes(bytes(LARGEST_SHEET + 1))
    page = night_page(night_summary(contact_sheet=sheet))
    assert "base64" not in page
    assert "sheet.jpg" in page


def test_night_without_frames_is_shown_too():
    """An empty folder gives a page of zeros and no division by zero."""
    page = night_page(night_summary(counts={}, flagged=(), seconds=0.0, total=0, judged=0, tracked=False))
    assert "| PASS | 0 | 0.0% |" in page
    assert "| threshold | - |" in page
    assert "| MLflow | nothing to tell |" in page
