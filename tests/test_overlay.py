"""The pictures a reviewer sees: regions where they are, colours that mean the same everywhere, nothing that fails."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from verdict_samples import SCRATCH, judgement

from inspection.lettering import draw_text, shortened, text_width
from inspection.outline import SIGNAL, outline_regions
from inspection.overlay import contact_sheet, draw_heat, draw_overlay, draw_strip, map_on_frame
from inspection.verdicts import Region, Verdict

GREY = np.full((120, 160, 3), 128, np.uint8)


@pytest.fixture
def spot():
    """A flagged judgement whose map, of the golden's 120 x 160 pixels, is low in one disc at (100, 40)."""
    similarity_map = np.full((120, 160), 0.9, np.float32)
    cv2.circle(similarity_map, (100, 40), 8, 0.1, -1)
    region = Region(x=92, y=32, width=17, height=17, area=200, similarity=0.1)
    return judgement(0.1, similarity_map=similarity_map, regions=(region,))


def test_regions_are_outlined_where_the_map_is_low(spot):
    """The signal colour runs around the disc and not across it, and the frame given stays as it was."""
    drawn = draw_overlay(GREY, spot)
    rows, columns = _signal(drawn)
    assert max(abs(columns.mean() - 100), abs(rows.mean() - 40)) < 1.5
    assert np.hypot(columns - 100, rows - 40).min() > 8
    assert (drawn[36:44, 96:104] == 128).all()
    assert (GREY == 128).all()


def test_regions_without_a_map_are_boxed():
    """Regions alone still show where to look."""
    rows, columns = _signal(outline_regions(GREY, judgement(0.2)))
    assert rows.min() < SCRATCH.y < SCRATCH.y + SCRATCH.height < rows.max()
    assert columns.min() < SCRATCH.x < SCRATCH.x + SCRATCH.width < columns.max()


def test_the_map_is_brought_back_onto_a_moved_frame(spot):
    """A frame moved by (20, 10) shows the disc where the defect is in that frame."""
    matrix = np.array([[1.0, 0, -20], [0, 1, -10], [0, 0, 1]])  # frame to golden
    on_frame = map_on_frame(replace(spot, matrix=matrix), (120, 160))
    assert _lowest(on_frame) == (120, 50)
    assert (on_frame[:10] == 1.0).all(), "where the golden does not reach, nothing is unlike it"


def test_a_coarse_map_is_stretched_over_the_golden():
    """A map of a quarter of the golden's size still lies on the right place."""
    coarse = np.full((30, 40), 0.9, np.float32)
    coarse[10, 25] = 0.1
    on_frame = map_on_frame(judgement(0.1, similarity_map=coarse), (120, 160), golden_size=(120, 160))
    x, y = _lowest(on_frame)
    assert max(abs(x - 101.5), abs(y - 41.5)) <= 1


def test_heat_glows_below_the_threshold_and_stays_calm_above():
    """A similarity that passes leaves grey; one that is flagged is colourful."""
    colourful = {
        similarity: np.ptp(draw_heat(GREY, np.full((120, 160), similarity, np.float32), 0.5)[0, 0].astype(int))
        for similarity in (1.0, 0.8, 0.49, 0.1)
    }
    assert colourful[1.0] == 0
    assert colourful[0.8] < 10
    assert 60 < colourful[0.49] < colourful[0.1]


def test_the_heat_of_a_similarity_does_not_depend_on_the_rest_of_the_map():
    """Pictures of one calibration can be compared: the scale is fixed, not stretched per picture."""
    first, second = np.full((2, 120, 160), 0.3, np.float32)
    second[60:] = 0.0
    assert (draw_heat(GREY, first, 0.5)[:40] == draw_heat(GREY, second, 0.5)[:40]).all()


def test_a_small_region_is_enlarged_beside_the_strip(spot):
    """Below 6 % of the width, golden and frame are shown close up as well."""
    small = replace(spot, regions=(Region(x=98, y=38, width=4, height=4, area=16, similarity=0.1),))
    assert draw_strip(GREY, GREY, small).shape[1] > draw_strip(GREY, GREY, spot).shape[1] + 100


def test_the_enlargement_shows_the_golden_at_the_same_place(spot):
    """The golden's crop follows the registration, so that both crops show the same spot of the part."""
    golden = GREY.copy()
    golden[30:50, 90:110] = (0, 200, 0)
    matrix = np.array([[1.0, 0, -20], [0, 1, -10], [0, 0, 1]])
    region = Region(x=118, y=48, width=4, height=4, area=16, similarity=0.1)
    strip = draw_strip(golden, GREY, replace(spot, matrix=matrix, regions=(region,)))
    crop = strip[72:200, -180:-12]
    assert (crop[60:68, 80:90] == (0, 200, 0)).all()


@pytest.mark.parametrize("verdict", list(Verdict))
def test_captions_show_the_verdict_in_its_colour(verdict):
    """PASS, FLAG and CANNOT INSPECT differ at a glance."""
    strips = {one: draw_strip(GREY, GREY, judgement(0.7, verdict=one)) for one in Verdict}
    colours = {one: tuple(strip[14, 16]) for one, strip in strips.items()}
    assert sum(colour == colours[verdict] for colour in colours.values()) == 1


def test_a_provisional_verdict_says_so():
    """The same judgement looks different when its calibration is provisional."""
    sure, provisional = (draw_strip(GREY, GREY, judgement(0.2, provisional=one)) for one in (False, True))
    assert (sure[:46] != provisional[:46]).any()


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (900, 3), (40, 60)], ids=str)
def test_frames_of_any_size_are_drawn(size, spot):
    """Neither a single pixel nor a line scan breaks the picture."""
    frame = np.full((*size, 3), 90, np.uint8)
    assert draw_overlay(frame, spot).shape == frame.shape
    for golden in (frame, GREY):
        for one in (spot, replace(spot, matrix=None), judgement(0.2), judgement(None)):
            strip = draw_strip(golden, frame, one, part_id="p")
            assert strip.dtype == np.uint8
            assert strip.shape[0] < 500


@pytest.mark.parametrize("name", ["", "ä №子", "raw\udcff", "two\nlines", "x" * 5000])
def test_any_part_id_fits_its_caption(name):
    """Odd and endless names are drawn in the room there is."""
    assert draw_strip(GREY, GREY, judgement(0.2), part_id=name).shape == draw_strip(GREY, GREY, judgement(0.2)).shape
    assert text_width(shortened(name, 200)) <= 200


def test_a_long_name_keeps_both_ends():
    """Part ids differ at their ends."""
    short = shortened("lot-77/" + "x" * 200 + "/000123", 150)
    assert short.startswith("lot")
    assert short.endswith("123")


def test_text_is_drawn_where_asked():
    """Letters stand on the baseline, right of the given place, and end where the function says."""
    canvas = np.zeros((40, 200, 3), np.uint8)
    end = draw_text(canvas, "HEX", 50, 30, size=16)
    rows, columns = np.nonzero(canvas[..., 0] > 100)
    assert 15 < rows.min() < rows.max() <= 31
    assert 49 <= columns.min() < columns.max() <= end + 1


def test_a_contact_sheet_keeps_the_order_it_is_given():
    """The first picture stands top left, the next beside it, the third below."""
    shades = [np.full((50, 100, 3), 60 * number, np.uint8) for number in (1, 2, 3)]
    sheet = contact_sheet(shades, columns=2, cell_width=100)
    places = {number: np.argwhere((sheet == 60 * number).all(axis=2)).min(axis=0).tolist() for number in (1, 2, 3)}
    assert places[1][0] == places[2][0] < places[3][0]
    assert places[1][1] == places[3][1] < places[2][1]


def test_a_contact_sheet_has_a_caption_per_picture():
    """Captions must be as many as pictures."""
    with pytest.raises(ValueError, match="shorter"):
        contact_sheet([GREY, GREY], captions=["only one"])
    bare, captioned = contact_sheet([GREY]), contact_sheet([GREY], captions=["part 1, 0.312"])
    assert captioned.shape[0] > bare.shape[0]


def test_an_empty_contact_sheet_is_a_picture_too():
    """A night without flags has a sheet that says so."""
    assert contact_sheet([]).max() > 200


def _signal(picture):
    return np.nonzero((picture == SIGNAL).all(axis=2))


def _lowest(similarity_map):
    rows, columns = np.nonzero(similarity_map < 0.5)
    return round(columns.mean()), round(rows.mean())
