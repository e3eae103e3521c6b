"""What the table says, in plain words made from its numbers, whichever way they point."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from medkd.reports.case_statistics import case_statistics, paired_difference
from medkd.reports.comparisons import reference_method
from medkd.reports.number_texts import number_text, seconds_text

if TYPE_CHECKING:
    from medkd.reports.evaluation_results import EvaluationResults, MethodResult

__all__ = ["summary_statement"]

_REFERENCES = ("deep_ensemble", "single", "teacher", "labels_only", "peer_ensemble")
_DIGITS = 4
_FEW_CASES = 20


def summary_statement(results: EvaluationResults) -> list[str]:
    """A paragraph for each student: each method whose name begins with ``student``.

    It compares the student with the methods ``deep_ensemble``, ``single``, ``teacher``,
    ``labels_only`` and ``peer_ensemble``, as far as they are there: Dice case by case, ECE and NLL,
    and with the first of them time and parameters. Then it says how far the numbers carry. Better
    and worse are worded alike. One sentence says what the student as shipped scores, beside the
    first of these methods at its own fitted temperature: those two are compared on equal terms.

    Args:
        results: what to put into words.

    Returns:
        Paragraphs of plain text; without a student, or without a method to compare it with, only
        the one that says how far the numbers carry.
    """
    references = [method for name in _REFERENCES if (method := results.method(name)) is not None]
    students = [
        method
        for method in results.methods
        if method.name.startswith("student")
        and not method.name.endswith(("_temperature", "_as_shipped"))
    ]
    paragraphs = [_compared(results, student, references) for student in students if references]
    return [*paragraphs, _caution(results)]


def _compared(
    results: EvaluationResults, student: MethodResult, references: list[MethodResult]
) -> str:
    ending = results.regions[results.main_region]
    sentences = [
        _dice_sentence(student, references, f"dice{ending}"),
        _calibration_sentence(student, references, f"ece{ending}", "calibration error (ECE)"),
        _calibration_sentence(student, references, f"nll{ending}", "negative log-likelihood (NLL)"),
        _shipped_sentence(results, student, references[0], ending),
        _cost_sentence(student, references[0]),
    ]
    return " ".join(filter(None, sentences))


def _dice_sentence(student: MethodResult, references: list[MethodResult], metric: str) -> str:
    mean = _mean(student, metric)
    if math.isnan(mean):
        return f"The {student.title} has no Dice on any case."
    parts = [_dice_against(student, reference, metric) for reference in references]
    return f"The {student.title} reaches a mean Dice of {mean:.{_DIGITS}f}: {' and '.join(parts)}."


def _dice_against(student: MethodResult, reference: MethodResult, metric: str) -> str:
    paired = paired_difference(student, reference, metric)
    num_cases, mean = paired.difference.num_cases, paired.difference.mean
    if num_cases == 0:
        return f"not comparable with the {reference.title}"
    theirs = f"the {reference.title}'s {_mean(reference, metric):.{_DIGITS}f}"
    counts = f"higher in {paired.num_higher} and lower in {paired.num_lower} of {num_cases} cases"
    if num_cases == 1:
        counts = "on the one case"
    if round(mean, _DIGITS) == 0:
        return f"level with {theirs} ({counts})"
    side = "above" if mean > 0 else "below"
    return f"{abs(mean):.{_DIGITS}f} {side} {theirs} ({counts})"


def _calibration_sentence(
    student: MethodResult, references: list[MethodResult], metric: str, title: str
) -> str:
    mean = _mean(student, metric)
    if math.isnan(mean):
        return f"It has no {title}."
    verdicts: dict[str, list[str]] = {}
    for reference in references:
        theirs = _mean(reference, metric)
        value = "" if math.isnan(theirs) else f" {theirs:.{_DIGITS}f}"
        verdicts.setdefault(_verdict(mean, theirs), []).append(f"the {reference.title}'s{value}")
    parts = [f"{verdict} {' and '.join(names)}" for verdict, names in verdicts.items()]
    return f"Its {title} of {mean:.{_DIGITS}f} is {' and '.join(parts)}."


def _verdict(mean: float, theirs: float) -> str:
    """How a score that is better low compares, on the digits shown."""
    if math.isnan(theirs):
        return "not comparable with"
    difference = round(mean, _DIGITS) - round(theirs, _DIGITS)
    if difference == 0:
        return "the same as"
    return "lower (better) than" if difference < 0 else "higher (worse) than"


def _shipped_sentence(
    results: EvaluationResults, student: MethodResult, reference: MethodResult, ending: str
) -> str:
    shipped = results.method(f"{student.name}_as_shipped")
    if shipped is None:
        return ""
    sentence = f"As shipped, it has {_scores(shipped, ending)}"
    tempered = results.method(f"{reference.name}_temperature")
    if tempered is not None:
        sentence += f"; the {tempered.title} has {_scores(tempered, ending)}"
    return f"{sentence}."


def _scores(method: MethodResult, ending: str) -> str:
    scores = []
    for metric, title in {"dice": "Dice", "ece": "ECE", "nll": "NLL"}.items():
        mean = _mean(method, metric + ending)
        scores.append(f"no {title}" if math.isnan(mean) else f"{title} {mean:.{_DIGITS}f}")
    return f"{', '.join(scores[:-1])} and {scores[-1]}"


def _cost_sentence(student: MethodResult, reference: MethodResult) -> str:
    parameters = f"it has {_share(student.num_parameters / max(reference.num_parameters, 1))}"
    seconds = case_statistics(student.seconds_per_case.values()).mean
    theirs = case_statistics(reference.seconds_per_case.values()).mean
    if not (seconds > 0 and theirs > 0):
        return f"Compared with the {reference.title}, {parameters}."
    times = f"{seconds_text(seconds)} against {seconds_text(theirs)} seconds per case"
    return f"It {_speed(theirs / seconds)} the {reference.title} ({times}), and {parameters}."


def _share(share: float) -> str:
    if round(share, 2) == 1:
        return "as many parameters"
    if share > 1:
        return f"{share:.1f} times its parameters"
    return f"{100 * share:.2g}% of its parameters"


def _speed(ratio: float) -> str:
    if round(ratio, 1) == 1:
        return "takes as long as"
    if ratio > 1:
        return f"is {ratio:.1f} times as fast as"
    return f"takes {1 / ratio:.1f} times as long as"


def _caution(results: EvaluationResults) -> str:
    num_cases = len(results.case_ids)
    if num_cases == 1:
        return "This is one case: it says nothing about how scores vary from case to case."
    parts = ["The range below a mean is its 95% bootstrap interval over cases."]
    student, reference = results.method("student"), reference_method(results)
    if student is not None and reference is not None:
        ending = results.regions[results.main_region]
        paired = paired_difference(student, reference, f"dice{ending}").difference
        if math.isfinite(paired.std):
            difference = number_text(paired.mean, _DIGITS, sign="+")
            parts.append(
                f"Case by case, the Dice of the {student.title} minus that of the "
                f"{reference.title} is {difference} ± {paired.std:.{_DIGITS}f}."
            )
    if num_cases < _FEW_CASES:
        parts.append(f"With {num_cases} cases, small differences may be chance.")
    return " ".join(parts)


def _mean(method: MethodResult, metric: str) -> float:
    return case_statistics(method.values(metric).values()).mean
