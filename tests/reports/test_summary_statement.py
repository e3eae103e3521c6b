from __future__ import annotations

import pytest

from medkd.reports import summary_statement

NAN = float("nan")


@pytest.fixture
def compare(make_method, make_results):
    """The statement on a student against an ensemble with Dice 0.8, ECE and NLL 0.1, 10 s."""

    def _compare(**student):
        reference = {"dice": [0.8] * 3, "ece": [0.1] * 3, "nll": [0.1] * 3, "seconds": [10.0] * 3}
        ensemble = make_method("deep_ensemble", num_parameters=5000, **reference)
        reference.update(student)
        reference.setdefault("num_parameters", 1000)
        return " ".join(
            summary_statement(make_results([ensemble, make_method("student", **reference)]))
        )

    return _compare


class TestDice:
    def test_says_below(self, compare):
        statement = compare(dice=[0.7, 0.7, 0.85])
        assert "0.0500 below the deep ensemble's 0.8000" in statement
        assert "higher in 1 and lower in 2 of 3 cases" in statement
        assert "−0.0500 ± 0.0866" in statement  # noqa: RUF001

    def test_says_above(self, compare):
        assert "0.0100 above the deep ensemble's 0.8000" in compare(dice=[0.81] * 3)

    def test_says_level(self, compare):
        assert "level with the deep ensemble's 0.8000" in compare(dice=[0.80001] * 3)

    def test_compares_only_the_cases_that_both_have(self, compare):
        statement = compare(dice=[0.9, NAN, NAN])
        assert "0.1000 above the deep ensemble's 0.8000 (on the one case)" in statement

    def test_without_a_score(self, compare):
        assert "The student has no Dice on any case." in compare(dice=[NAN] * 3)


class TestCalibration:
    @pytest.mark.parametrize(
        ("metric", "title"),
        [("ece", "calibration error (ECE)"), ("nll", "negative log-likelihood (NLL)")],
    )
    @pytest.mark.parametrize(
        ("value", "words"),
        [
            (0.05, "lower (better) than"),
            (0.2, "higher (worse) than"),
            (0.10001, "the same as"),
        ],
    )
    def test_says_which_way(self, compare, metric, title, value, words):
        statement = compare(**{metric: [value] * 3})
        assert f"{title} of {value:.4f} is {words} the deep ensemble's 0.1000." in statement

    def test_joins_references_with_one_verdict(self, make_method, make_results):
        methods = [
            make_method("single", ece=[0.3] * 3),
            make_method("deep_ensemble", ece=[0.2] * 3),
            make_method("student", ece=[0.1] * 3),
        ]
        assert (
            "is lower (better) than the deep ensemble's 0.2000 and the single's 0.3000."
            in summary_statement(make_results(methods))[0]
        )


class TestCost:
    def test_says_faster_and_smaller(self, compare):
        statement = compare(seconds=[2.0] * 3)
        assert "is 5.0 times as fast as the deep ensemble (2 against 10 seconds" in statement
        assert "it has 20% of its parameters" in statement

    def test_says_slower_and_larger(self, compare):
        statement = compare(seconds=[15.0] * 3, num_parameters=10_000)
        assert "takes 1.5 times as long as the deep ensemble" in statement
        assert "it has 2.0 times its parameters" in statement

    def test_says_alike(self, compare):
        statement = compare(num_parameters=5001)
        assert "takes as long as the deep ensemble (10 against 10 seconds per case)" in statement
        assert "it has as many parameters" in statement

    def test_says_a_small_share(self, compare):
        assert "it has 0.4% of its parameters" in compare(num_parameters=20)

    def test_without_times(self, compare):
        statement = compare(seconds=[NAN] * 3)
        assert "Compared with the deep ensemble, it has 20% of its parameters." in statement


class TestAsShipped:
    @pytest.fixture
    def methods(self, make_method):
        def scored(name, dice, ece, nll):
            return make_method(name, dice=[dice] * 3, ece=[ece] * 3, nll=[nll] * 3)

        return [
            scored("deep_ensemble", 0.8, 0.1, 0.2),
            scored("deep_ensemble_temperature", 0.8, 0.03, 0.19),
            scored("student", 0.82, 0.12, 0.25),
            scored("student_as_shipped", 0.81, 0.04, 0.21),
        ]

    def test_is_said_beside_a_teacher_on_equal_terms(self, methods, make_results):
        statement = summary_statement(make_results(methods))[0]
        shipped = "As shipped, it has Dice 0.8100, ECE 0.0400 and NLL 0.2100"
        theirs = f"the {methods[1].title} has Dice 0.8000, ECE 0.0300 and NLL 0.1900"
        assert f"{shipped}; {theirs}." in statement

    def test_without_a_score(self, methods, make_method, make_results):
        scores = {"dice": [NAN] * 3, "ece": [0.1] * 3, "nll": [0.1] * 3}
        shipped = make_method("student_as_shipped", **scores)
        statement = summary_statement(make_results([*methods[:3], shipped]))[0]
        assert "As shipped, it has no Dice, ECE 0.1000 and NLL 0.1000" in statement

    def test_without_such_a_teacher(self, methods, make_results):
        statement = summary_statement(make_results([methods[0], *methods[2:]]))[0]
        assert "ECE 0.0400 and NLL 0.2100. " in statement

    def test_without_such_a_student(self, methods, make_results):
        statement = " ".join(summary_statement(make_results(methods[:3])))
        assert "As shipped" not in statement


def test_has_a_paragraph_for_each_student(make_method, make_results):
    names = ("deep_ensemble", "student", "student_as_shipped", "student_small")
    statement = summary_statement(make_results([make_method(name) for name in names]))
    assert [text.split(" reaches")[0] for text in statement[:2]] == [
        "The student",
        "The student small",
    ]


def test_says_only_how_far_numbers_carry_without_a_student(make_method, make_results):
    (statement,) = summary_statement(make_results([make_method("mc_dropout")]))
    assert "With 3 cases, small differences may be chance." in statement


def test_many_cases_get_no_warning(make_method, make_results):
    case_ids = [str(i) for i in range(20)]
    (statement,) = summary_statement(make_results([make_method("single", case_ids=case_ids)]))
    assert "chance" not in statement
