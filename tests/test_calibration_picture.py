"""The calibration picture: every kind of sample can be drawn, and it says what it shows."""

import cv2
import numpy as np
import pytest

from inspection.calibration import Binding, Policy, Rate, calibrate_scores, provisional_calibration
from pipeline.calibration_picture import _bin_edges, _figure, _Sample, draw_calibration, draw_evaluation

BINDING = Binding(encoder="e" * 12, reference_set="f" * 12, recipe="a" * 12)
GOOD, DEFECTIVE = np.linspace(0.6, 0.95, 40), np.linspace(0.1, 0.7, 20)
SAMPLES = {
    "both classes": (GOOD, DEFECTIVE),
    "few defects": (GOOD, [0.2]),
    "no defects": (GOOD, []),
    "all equal": (np.full(40, 0.8), []),
    "all equal in each class": (np.full(40, 0.8), np.full(5, 0.3)),
    "one good part": ([0.9], []),
    "every good part perfect": (np.ones(30), [0.0]),
}


def texts(figure):
    """All that can be read in the figure."""
    found = [text.get_text() for text in figure.texts] + [figure.get_suptitle()]
    for axes in figure.axes:
        found += [axes.get_title(loc="left"), axes.get_xlabel(), axes.get_ylabel()]
        found += [text.get_text() for text in axes.texts]
    return " | ".join(found).replace("\u00a0", " ")


def figure_of(good, defective, threshold, *, provisional=False):
    """The figure before it is saved."""
    sample = _Sample(
        good=np.asarray(good, float),
        defective=np.asarray(defective, float),
        threshold=threshold,
        provisional=provisional,
    )
    return _figure(sample, "Calibration of board / top", ["A note of 5 %."])


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_becomes_a_picture(name, tmp_path):
    """Whatever was calibrated can be drawn, in a folder that need not exist yet."""
    good, defective = SAMPLES[name]
    calibration = calibrate_scores(good, defective, policy=Policy(), binding=BINDING)
    path = tmp_path / "reports" / "calibration.png"
    draw_calibration(path, good=good, defective=defective, calibration=calibration, product="board / top")
    picture = cv2.imread(str(path))
    assert picture.shape == (840, 1440, 3)
    assert picture.std() > 10


@pytest.mark.parametrize("threshold", [None, 0.5])
@pytest.mark.parametrize("sample", [(GOOD, DEFECTIVE), (GOOD, []), ([], DEFECTIVE), ([], [])])
def test_evaluations_become_pictures(sample, threshold, tmp_path):
    """With and without a threshold, and with either class missing."""
    good, defective = sample
    draw_evaluation(tmp_path / "evaluation.png", good=good, defective=defective, threshold=threshold, note="AUROC 0.99")
    assert cv2.imread(str(tmp_path / "evaluation.png")).shape == (840, 1440, 3)


def test_provisional_pictures_claim_no_rates(tmp_path):
    """A provisional calibration is called so and shows no trade-off."""
    calibration = provisional_calibration(GOOD, binding=BINDING)
    draw_calibration(tmp_path / "p.png", good=GOOD, defective=[], calibration=calibration)
    assert cv2.imread(str(tmp_path / "p.png")) is not None
    figure = figure_of(GOOD, [], calibration.threshold, provisional=True)
    assert len(figure.axes) == 1
    assert "40 comparisons of goldens; overkill and escape unknown" in texts(figure)


def test_picture_names_counts_rates_and_axes():
    """Product, counts of both classes, rates, threshold and the note can be read off."""
    shown = texts(figure_of([0.4, 0.6, 0.8, 0.9], [0.1, 0.2, 0.7], 0.5))
    for words in (
        "board / top",
        "4 good parts: 1 flagged (25 %)",
        "3 defective parts: 1 passed (33.3 %)",
        "Overkill 25 %, escape 33.3 %",
        "flagged below 0.500",
        "similarity to the goldens",
        "A note of 5 %.",
    ):
        assert words in shown


def test_escape_is_called_unknown_without_defects():
    """Good parts alone show overkill against the threshold and no escape."""
    shown = texts(figure_of(GOOD, [], 0.6))
    assert "escape unknown" in shown
    assert "defective" not in shown


def test_no_bar_is_half_flagged():
    """One edge of the histogram lies on the threshold, and the edges hold all parts."""
    sample = _Sample(good=GOOD, defective=DEFECTIVE, threshold=0.4321)
    edges = _bin_edges(sample)
    assert np.abs(edges - 0.4321).min() < 1e-12
    assert edges[0] <= DEFECTIVE.min()
    assert edges[-1] >= GOOD.max()


def test_estimates_are_drawn_with_their_own_rates():
    """Parts that stand for others: no counts nobody made, and no band that knows nothing of the sampling."""
    rates = Rate(rate=0.014, low=0.014, high=0.019, n=15), Rate(rate=0.069, low=0.069, high=0.686, n=29)
    sample = _Sample(good=GOOD, defective=DEFECTIVE, threshold=0.65, estimated=rates)
    figure = _figure(sample, "Calibration of board / top", [])
    said = texts(figure)
    assert "about 40 good parts: 1.4 % flagged" in said
    assert "about 20 defective parts: 6.9 % passed" in said
    assert "Overkill 1.4 %, escape 6.9 %" in said
    legends = [text.get_text() for axes in figure.axes if axes.get_legend() for text in axes.get_legend().get_texts()]
    assert "this threshold" in legends
    assert not any("95" in text for text in legends)
