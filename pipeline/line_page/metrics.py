"""The figures of running lines for Prometheus, read from their snapshots whenever they are asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from inspection.verdicts import Verdict
from pipeline.line_page.values import without_credentials
from pipeline.signals import LineState

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from pipeline.line.snapshot import LineSnapshot

__all__ = ["CONTENT_TYPE_LATEST", "metrics_text"]

_Reading = tuple[str, str, Callable[["LineSnapshot"], float | None]]

_COUNTERS: Final[tuple[_Reading, ...]] = (
    ("frames_captured", "Frames taken in since the start of the line.", lambda line: line.captured),
    ("frames_skipped", "Frames not inspected because too many were waiting.", lambda line: line.skipped),
    ("frames_late", "Frames whose verdict came after the deadline.", lambda line: line.late),
    ("frames_missed", "Frames that the camera counted and that never came.", lambda line: line.missed),
)
_GAUGES: Final[tuple[_Reading, ...]] = (
    ("waiting_frames", "Frames taken in and not yet decided.", lambda line: line.waiting),
    ("untold_frames", "Frames decided that a receiver has not been told of yet.", lambda line: line.untold),
    ("unrecorded_frames", "Frames decided whose record is still to be written.", lambda line: line.unrecorded),
    ("frames_per_second", "Frames told of a second, lately.", lambda line: line.frames_per_second),
    ("signal_latency_limit_seconds", "The latency aimed at.", lambda line: _seconds(line.latency_limit)),
    ("threshold", "The similarity below which a frame is flagged.", lambda line: line.threshold),
    ("provisional", "1 while the threshold rests on the goldens alone.", lambda line: line.provisional),
    ("start_time_seconds", "When the line was started, Unix time.", lambda line: line.started_at.timestamp()),
    (
        "snapshot_time_seconds",
        "When these figures were true, Unix time; stands still where the line does not answer.",
        lambda line: line.now.timestamp(),
    ),
)


def metrics_text(lines: Sequence[LineSnapshot], problems: int = 0) -> bytes:
    """What `/metrics` says: Prometheus' text format; `problems` counts lines that gave no snapshot when asked."""
    registry = CollectorRegistry(auto_describe=False)
    once = {line.line: line for line in lines}  # Prometheus refuses a whole page on which a series stands twice
    registry.register(_LineCollector(list(once.values()), problems))
    return generate_latest(registry)


class _LineCollector(Collector):
    """The metrics of some snapshots."""

    def __init__(self, lines: Sequence[LineSnapshot], problems: int) -> None:
        self._lines = lines
        self._problems = problems

    def collect(self) -> Iterator[Metric]:
        """Each metric with a sample for every line."""
        silent = GaugeMetricFamily("goldentwin_silent_lines", "Lines that gave no snapshot when asked.")
        silent.add_metric([], self._problems)
        yield silent
        yield self._frames()
        yield self._latencies()
        yield self._up()
        yield self._states()
        yield self._facts()
        for name, told, read in _COUNTERS:
            counter = CounterMetricFamily(f"goldentwin_{name}", told, labels=["line"])
            yield _filled(counter, ((line, read(line)) for line in self._lines))
        for name, told, read in _GAUGES:
            gauge = GaugeMetricFamily(f"goldentwin_{name}", told, labels=["line"])
            yield _filled(gauge, ((line, read(line)) for line in self._lines))

    def _frames(self) -> Metric:
        told = "Frames told of, by verdict; those skipped or late are CANNOT_INSPECT."
        family = CounterMetricFamily("goldentwin_frames", told, labels=["line", "product", "view", "verdict"])
        for line in self._lines:
            for verdict in Verdict:
                labels = [line.line, line.product, line.view, verdict.value]
                family.add_metric(_labels(labels), line.counts.get(verdict, 0))
        return family

    def _latencies(self) -> Metric:
        told = "Time from capture to signal over the last judged frames."
        family = GaugeMetricFamily("goldentwin_signal_latency_seconds", told, labels=["line", "quantile"])
        for line in self._lines:
            for quantile, milliseconds in (("0.5", line.latency_p50), ("0.99", line.latency_p99)):
                if (seconds := _seconds(milliseconds)) is not None:
                    family.add_metric(_labels([line.line, quantile]), seconds)
        return family

    def _up(self) -> Metric:
        told = "1 where what the line needs is there, 0 where it is lost."
        family = GaugeMetricFamily("goldentwin_up", told, labels=["line", "what", "name"])
        for line in self._lines:
            up: dict[tuple[str, str], bool] = {}
            for health in line.health:
                key = health.what, without_credentials(health.name)
                up[key] = health.up and up.get(key, True)
            for key, there in up.items():
                family.add_metric(_labels([line.line, *key]), float(there))
        return family

    def _states(self) -> Metric:
        told = "1 for the state that the line is in, 0 for the others."
        family = GaugeMetricFamily("goldentwin_state", told, labels=["line", "state"])
        for line in self._lines:
            for state in LineState:
                family.add_metric(_labels([line.line, state.value]), float(line.state is state))
        return family

    def _facts(self) -> Metric:
        names = ["line", "product", "view", "engine", "policy", "calibration"]
        family = GaugeMetricFamily(
            "goldentwin_line_info", "What the line judges, and with what; always 1.", labels=names
        )
        for line in self._lines:
            values = [line.line, line.product, line.view, line.engine, line.policy, line.calibration or ""]
            family.add_metric(_labels(values), 1.0)
        return family


def _filled(
    family: CounterMetricFamily | GaugeMetricFamily, values: Iterable[tuple[LineSnapshot, float | None]]
) -> Metric:
    for line, value in values:
        if value is not None and math.isfinite(value):
            family.add_metric(_labels([line.line]), float(value))
    return family


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None or not math.isfinite(milliseconds) else milliseconds / 1000


def _labels(values: Sequence[str]) -> list[str]:
    """Label values that can be encoded; file names may hold bytes that are no text."""
    return [value.encode("utf-8", "backslashreplace").decode() for value in values]
