"""From reviewers' answers to labels: one per part, with who said what, and how well the reviewers agree."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from inspection.recipe import is_type_name
from pipeline.review.items import DEFECT, DEFECT_TYPE, VERDICT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from numpy.typing import ArrayLike

    from pipeline.review.items import Answer

DISPUTED = "disputed"
_RATERS_OF_COHEN = 2


@dataclass(frozen=True, kw_only=True)
class Label:
    """What the reviewers make of one part: `defect`, `good`, or `disputed` where as many say one as the other.

    `defect_type` is the one named most, "" where none is that a type may be called. `votes` are each reviewer's latest
    answers.
    """

    key: str
    value: str
    defect_type: str
    votes: dict[str, str]
    comments: tuple[str, ...]
    decided_at: datetime


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Kappa over the parts that several people reviewed: 1 is full agreement, 0 what chance gives.

    `statistic` is `Cohen` for two people, `Fleiss` for more; `kappa` is None where all said the same of all parts, or
    no part has two reviews.
    """

    statistic: str
    kappa: float | None
    parts: int
    reviewers: int


def resolve(answers: Sequence[Answer]) -> list[Label]:
    """One label per part with a verdict, by majority of each reviewer's latest word; a tie is disputed."""
    latest = _latest(answers)
    labels = []
    for key, given in latest.items():
        verdicts = {reviewer: answer for (reviewer, question), answer in given.items() if question == VERDICT}
        if not verdicts:
            continue
        counts = Counter(answer.value for answer in verdicts.values()).most_common()
        tie = len(counts) > 1 and counts[0][1] == counts[1][1]
        value = DISPUTED if tie else counts[0][0]
        types = Counter(
            answer.value
            for (_, question), answer in given.items()
            if question == DEFECT_TYPE and is_type_name(answer.value)  # whoever may answer may write anything
        )
        named = min(types, key=lambda name: (-types[name], name)) if types and value == DEFECT else ""
        labels.append(
            Label(
                key=key,
                value=value,
                defect_type=named,
                votes={reviewer: answer.value for reviewer, answer in sorted(verdicts.items())},
                comments=tuple(answer.comment for answer in verdicts.values() if answer.comment),
                decided_at=max(answer.answered_at for answer in verdicts.values()),
            )
        )
    return labels


def agreement(labels: Sequence[Label]) -> Agreement:
    """How well reviewers agree on the parts that at least two of them saw."""
    shared = [label for label in labels if len(label.votes) > 1]
    reviewers = {reviewer for label in shared for reviewer in label.votes}
    if len(reviewers) == _RATERS_OF_COHEN:
        first, second = sorted(reviewers)
        pairs = [(label.votes[first], label.votes[second]) for label in shared]
        return Agreement(statistic="Cohen", kappa=cohen_kappa(pairs), parts=len(shared), reviewers=2)
    counts = [[list(label.votes.values()).count(value) for value in (DEFECT, "good")] for label in shared]
    kappa = fleiss_kappa(counts) if counts else None
    return Agreement(statistic="Fleiss", kappa=kappa, parts=len(shared), reviewers=len(reviewers))


def cohen_kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Cohen's kappa of two people's answers (Cohen 1960, Educ. Psychol. Meas. 20, 37-46).

    None where chance alone would make them agree always.
    """
    if not pairs:
        return None
    observed = float(np.mean([one == other for one, other in pairs]))
    first, second = (Counter(pair[which] for pair in pairs) for which in (0, 1))
    expected = sum(first[value] * second[value] for value in first) / len(pairs) ** 2
    return None if expected == 1 else (observed - expected) / (1 - expected)


def fleiss_kappa(counts: ArrayLike) -> float | None:
    """Fleiss' kappa (Fleiss 1971, Psychol. Bull. 76, 378-382), with as many people per part as saw it.

    Args:
        counts: (parts, categories), how many people put the part into the category; at least two people per part.

    Returns:
        At most 1; None where all answers are the same. With unequal numbers of people, each part's agreement is over
        its own pairs of people, and the shares of categories are over all answers.
    """
    table = np.asarray(counts, dtype=np.float64)
    people = table.sum(axis=1)
    observed = float(np.mean((np.square(table).sum(axis=1) - people) / (people * (people - 1))))
    expected = float(np.square(table.sum(axis=0) / people.sum()).sum())
    return None if expected == 1 else (observed - expected) / (1 - expected)


def _latest(answers: Sequence[Answer]) -> dict[str, dict[tuple[str, str], Answer]]:
    """By part, each reviewer's latest answer to each question."""
    latest: dict[str, dict[tuple[str, str], Answer]] = defaultdict(dict)
    for answer in sorted(answers, key=lambda one: (one.answered_at, one.id)):
        latest[answer.key][answer.reviewer, answer.question] = answer
    return latest
