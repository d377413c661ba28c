"""Pace: what is expected of the next frame follows what the last ones took, and batches for a GPU suit it."""

from __future__ import annotations

import threading

import pytest
from line_samples import ListCamera, night, records, run, shot_of

from inspection.prepared import PreparedFrame
from inspection.verdicts import Judgement, Provenance, Reason, Verdict
from pipeline.line.judging import Judges
from pipeline.line.pace import Pace
from pipeline.opening import open_inspector

SOMETHING = Provenance(encoder="e", reference_set="s", recipe="r", calibration="c")


def test_telling_has_no_share_before_anything_was_told():
    """A new line keeps nothing back."""
    assert Pace(single=0.02, workers=2, limit=0.1).telling == 0.0


def test_a_steady_receiver_is_given_its_mean():
    """Without any deviation the time from verdict to signal is the mean itself."""
    pace = Pace(single=0.02, workers=2, limit=0.1)
    for _ in range(300):
        pace.told(0.004)
    assert pace.telling == pytest.approx(0.004, abs=1e-4)


def test_an_unsteady_receiver_is_given_more_than_its_mean():
    """Times of 2 and 10 ms in turn have a mean of 6 and a deviation of 4: about 6 + 4 x 4 ms are kept."""
    pace = Pace(single=0.02, workers=2, limit=1.0)
    for turn in range(300):
        pace.told(0.010 if turn % 2 else 0.002)
    assert pace.telling == pytest.approx(0.022, rel=0.1)


def test_a_receiver_that_was_away_is_forgotten_soon_after_it_came_back():
    """A minute away counts as the limit alone, and forty quick signals later there is room again."""
    pace = Pace(single=0.01, workers=1, limit=0.1)
    for _ in range(20):
        pace.told(60.0)
    assert 0.08 < pace.telling < 0.3
    assert not pace.has_room(1)
    for _ in range(80):
        pace.told(0.001)
    assert pace.telling < 0.02
    assert pace.has_room(1)


def test_what_telling_takes_leaves_less_room():
    """As many frames fit before the limit as can be judged and told by it."""
    pace = Pace(single=0.02, workers=1, limit=0.1)
    most = max(n for n in range(20) if pace.has_room(n))
    for _ in range(300):
        pace.told(0.045)
    fewer = max(n for n in range(20) if pace.has_room(n))
    assert fewer < most
    assert pace.expected(fewer) + pace.telling <= 0.1


class OnGpu:
    """An inspector that says it runs on a GPU; `judge` is what it does with a batch."""

    on_gpu = True
    provenance = SOMETHING

    def __init__(self, judge):
        self.judge_prepared = judge

    def prepare(self, image):
        """Nothing to prepare."""
        return PreparedFrame(problem="", milliseconds=0.0, image=image)


def judges_of(judge, limit=10.0):
    """Judges of such an inspector."""
    return Judges(OnGpu(judge), Pace(single=0.01, workers=2, limit=limit), workers=4)


def refused(frames):
    """An answer of the right length."""
    return [Judgement.refused("blank: nothing to see", SOMETHING) for _ in frames]


@pytest.fixture
def shots():
    """Twelve drawn plates."""
    return [shot_of(image) for image in night(12)]


def test_two_batches_are_in_hand_on_a_gpu(shots):
    """The second begins before the first has ended; with one at a time neither would pass the barrier."""
    both = threading.Barrier(2, timeout=20)

    def judge(frames):
        if not both.broken:
            both.wait()
        return refused(frames)

    judges = judges_of(judge)
    futures = [judges.submit(shot) for shot in shots[:2]]
    assert [future.result(timeout=30).judgement.verdict for future in futures] == [Verdict.CANNOT_INSPECT] * 2
    assert not both.broken
    judges.close()


def test_waiting_frames_become_larger_batches_up_to_what_the_limit_allows(shots):
    """Quick batches grow by one as long as they are full; a slow one is halved."""
    sizes, slow = [], threading.Event()

    def judge(frames):
        sizes.append(len(frames))
        threading.Event().wait(0.05 if slow.is_set() else 0.005)
        return refused(frames)

    judges = judges_of(judge, limit=0.1)
    for _ in range(3):
        for future in [judges.submit(shot) for shot in shots]:
            future.result(timeout=30)
    assert max(sizes) > 2
    slow.set()
    sizes.clear()
    for _ in range(3):
        for future in [judges.submit(shot) for shot in shots]:
            future.result(timeout=30)
    assert sizes[-1] <= 2
    judges.close()


def test_closing_judges_what_waits(shots):
    """Each frame that was taken has its answer, and both threads end."""
    judges = judges_of(refused)
    futures = [judges.submit(shot) for shot in shots]
    judges.close()
    assert all(future.done() for future in futures)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("gpu-batches")]


def test_a_batch_that_fails_costs_its_frames_their_verdict_alone(shots, caplog):
    """CANNOT_INSPECT with what went wrong; the next batches are judged."""
    calls = []

    def judge(frames):
        calls.append(len(frames))
        if len(calls) == 1:
            message = "out of memory"
            raise RuntimeError(message)
        return refused(frames)

    judges = judges_of(judge)
    reasons = [judges.submit(shot).result(timeout=30).judgement.reason for shot in shots[:3]]
    judges.close()
    assert reasons[0] == f"{Reason.NOT_COMPARED.value}: out of memory"
    assert reasons[1:] == ["blank: nothing to see"] * 2
    assert "could not be compared" in caplog.text


def test_a_line_in_batches_gives_the_verdicts_of_the_library(plates, tmp_path, monkeypatch):
    """The way of a GPU, on the CPU: the same similarities, in the order of capture."""
    workspace = plates.copy(tmp_path / "line home")
    monkeypatch.setattr(type(plates.inspector), "on_gpu", True)
    images = night(12)
    _, sink = run(workspace, [], camera=ListCamera(images))
    judged = open_inspector(workspace, plates.inspector.reference_set.product, engine="onnx").judge(images)
    assert [signal.sequence for signal in sink.signals] == list(range(1, 13))
    assert [signal.similarity for signal in sink.signals] == [judgement.similarity for judgement in judged]
    assert [row["similarity"] for row in records(workspace)] == [judgement.similarity for judgement in judged]
