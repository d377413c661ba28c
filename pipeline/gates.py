"""The gates between challenger and champion: what was counted on the same parts, and which limits it breaks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scipy.special import bdtr

from inspection.calibration.rates import Rate, counted, percent
from inspection.errors import CalibrationError
from inspection.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SAME_SIMILARITY = 1e-3
_ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much worse than the champion a challenger may be on the frozen set, and how large that has to be.

    `more_escapes` is a number of defective parts, `more_overkill` a share of the good parts in [0, 1]; `good` and
    `defective` are the least numbers of parts.
    """

    more_escapes: int = 0
    more_overkill: float = 0.01
    good: int = 20
    defective: int = 20

    def __post_init__(self) -> None:
        """Refuse limits that are none."""
        if self.more_escapes < 0 or not 0.0 <= self.more_overkill <= 1.0 or self.good < 1 or self.defective < 1:
            message = "limits: escapes from 0, overkill from 0 to 100 %, at least one good and one defective part"
            raise CalibrationError(message)


@dataclass(frozen=True, kw_only=True)
class Told:
    """What one judge said of one part; `verdict` is a Verdict's value, or why a served model failed."""

    verdict: str
    similarity: float | None
    reason: str | None = None

    @property
    def escapes(self) -> bool:
        """Whether the part passes; one that can't be inspected does not."""
        return self.verdict == Verdict.PASS

    @property
    def flagged(self) -> bool:
        """Whether the part is flagged."""
        return self.verdict == Verdict.FLAG

    @property
    def inspected(self) -> bool:
        """Whether the part got a verdict."""
        return self.escapes or self.flagged


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One part of the frozen set and what champion, challenger, and the challenger's logged model say of it.

    `logged` is None where the file can't be decoded, so that no served model could be asked.
    """

    name: str
    sha256: str
    label: str
    defective: bool
    champion: Told
    challenger: Told
    logged: Told | None


@dataclass(frozen=True, kw_only=True)
class Paired:
    """How often something happened to champion and challenger on the same `n` parts, and where only to one of them.

    `p` is that of McNemar's exact test, two-sided (McNemar 1947, Psychometrika 12, 153-157, with the binomial
    distribution): how likely the parts that differ would fall apart so unevenly, or more so, were both equally good.
    """

    champion: int
    challenger: int
    n: int
    only_champion: int
    only_challenger: int
    p: float

    @classmethod
    def of(
        cls,
        parts: Sequence[Compared],
        happened: Callable[[Told], bool],
    ) -> Paired:
        """Count what `happened` on each part."""
        both = [(happened(part.champion), happened(part.challenger)) for part in parts]
        only_champion, only_challenger = both.count((True, False)), both.count((False, True))
        differing = only_champion + only_challenger
        return cls(
            champion=sum(champion for champion, _ in both),
            challenger=sum(challenger for _, challenger in both),
            n=len(both),
            only_champion=only_champion,
            only_challenger=only_challenger,
            p=min(1.0, 2.0 * float(bdtr(min(only_champion, only_challenger), differing, 0.5))),
        )

    @property
    def more(self) -> int:
        """How many more it are with the challenger; negative where they are fewer."""
        return self.challenger - self.champion

    def __str__(self) -> str:
        """For people: `challenger 3.6 % (2 of 56; ...), champion ..., McNemar's exact p = 0.5`."""
        if not self.n:
            return "no parts"
        told = [f"{name} {Rate.of(count, self.n)}" for name, count in self._counts]
        return f"{', '.join(told)}; McNemar's exact p = {self.p:.3g}"

    @property
    def _counts(self) -> tuple[tuple[str, int], ...]:
        return ("challenger", self.challenger), ("champion", self.champion)


@dataclass(frozen=True, kw_only=True)
class Gate:
    """One gate: whether it is passed, the reason in words, and the parts that stand in the way."""

    name: str
    passed: bool
    reason: str
    offending: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Contest:
    """Both judges on all parts of the frozen set: `escape` on the defective ones, `overkill` on good ones seen by both.

    A part that can't be inspected is no escape, for it does not pass; it is counted in `unseen`.
    """

    escape: Paired
    overkill: Paired
    unseen: Paired
    gates: tuple[Gate, ...]

    @property
    def passed(self) -> bool:
        """Whether all gates are."""
        return all(gate.passed for gate in self.gates)


def compare(parts: Sequence[Compared], limits: Limits) -> Contest:
    """Count, and hold the counts to the limits."""
    defective = [part for part in parts if part.defective]
    good = [part for part in parts if not part.defective]
    seen = [part for part in good if part.champion.inspected and part.challenger.inspected]
    escape = Paired.of(defective, lambda told: told.escapes)
    overkill = Paired.of(seen, lambda told: told.flagged)
    unseen = Paired.of(parts, lambda told: not told.inspected)
    gates = (
        _sample(parts, limits),
        _escape(escape, defective, limits),
        _overkill(overkill, seen, limits),
        _unseen(unseen, parts),
        _parity(parts),
    )
    return Contest(escape=escape, overkill=overkill, unseen=unseen, gates=gates)


def _sample(parts: Sequence[Compared], limits: Limits) -> Gate:
    """Parts that neither of both can inspect are no sample."""
    known = [part.defective for part in parts if part.champion.inspected or part.challenger.inspected]
    good, defective = known.count(False), known.count(True)
    there = f"{counted(good, 'good part')} and {counted(defective, 'defective part')}"
    needed = f"{limits.good} good and {limits.defective} defective"
    if good >= limits.good and defective >= limits.defective:
        return Gate(name="sample", passed=True, reason=f"{there}; needed are {needed}")
    reason = f"the frozen set has too few parts: {there}, needed are {needed}"
    return Gate(name="sample", passed=False, reason=reason)


def _escape(escape: Paired, parts: Sequence[Compared], limits: Limits) -> Gate:
    if escape.more <= limits.more_escapes:
        return Gate(name="escape", passed=True, reason=str(escape))
    missed = tuple(part.name for part in parts if part.challenger.escapes and not part.champion.escapes)
    more = counted(escape.more, "defective part")
    reason = f"the challenger misses {more} more than the champion, allowed are {limits.more_escapes}: {escape}"
    return Gate(name="escape", passed=False, reason=reason, offending=missed)


def _overkill(overkill: Paired, parts: Sequence[Compared], limits: Limits) -> Gate:
    if overkill.more <= limits.more_overkill * overkill.n + _ROUNDING:
        return Gate(name="overkill", passed=True, reason=str(overkill))
    flagged = tuple(part.name for part in parts if part.challenger.flagged and not part.champion.flagged)
    more = counted(overkill.more, "good part")
    allowed = percent(limits.more_overkill)
    reason = f"the challenger flags {more} more than the champion, allowed are {allowed} more: {overkill}"
    return Gate(name="overkill", passed=False, reason=reason, offending=flagged)


def _unseen(unseen: Paired, parts: Sequence[Compared]) -> Gate:
    counts = f"challenger {unseen.challenger} of {unseen.n}, champion {unseen.champion}"
    if unseen.more <= 0:
        return Gate(name="inspected", passed=True, reason=f"not inspected: {counts}")
    lost = tuple(part.name for part in parts if part.champion.inspected and not part.challenger.inspected)
    reason = f"the challenger can't inspect {counted(unseen.more, 'part')} more than the champion: {counts}"
    return Gate(name="inspected", passed=False, reason=reason, offending=lost)


def _parity(parts: Sequence[Compared]) -> Gate:
    asked = [part for part in parts if part.logged is not None]
    other = tuple(part.name for part in asked if part.logged is not None and not _same(part.challenger, part.logged))
    if not other:
        reason = f"the logged model gives the library's verdict on all {counted(len(asked), 'part')}"
        return Gate(name="parity", passed=True, reason=reason)
    reason = f"the logged model's verdict is not the library's on {counted(len(other), 'part')} of {len(asked)}"
    return Gate(name="parity", passed=False, reason=f"{reason}: {', '.join(other[:3])}", offending=other)


def _same(library: Told, logged: Told) -> bool:
    if library.verdict != logged.verdict:
        return False
    if library.similarity is None or logged.similarity is None:
        return library.similarity is logged.similarity
    return abs(library.similarity - logged.similarity) <= SAME_SIMILARITY
