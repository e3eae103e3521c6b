import pytest

from medkd.data import leave_fold_out

CASES = [{"case_id": i, "patient": i[0]} for i in ("a1", "b1", "a2", "c1", "d1", "e1", "e2")]


def test_every_patient_is_left_out_once_with_all_cases():
    left = [
        {c["case_id"] for c in CASES}
        - {c["case_id"] for c in leave_fold_out(CASES, fold=fold, num_folds=3)}
        for fold in range(3)
    ]
    assert left == [{"a1", "a2", "d1"}, {"b1", "e1", "e2"}, {"c1"}]


def test_folds_start_again_and_zero_leaves_nothing_out():
    assert leave_fold_out(CASES, fold=3, num_folds=3) == leave_fold_out(CASES, fold=0, num_folds=3)
    assert leave_fold_out(CASES, fold=4, num_folds=0) == CASES


@pytest.mark.parametrize("num_folds", [-1, 1, 6])
def test_rejects_folds_that_would_be_empty_or_everything(num_folds):
    with pytest.raises(ValueError, match="num_folds"):
        leave_fold_out(CASES, fold=0, num_folds=num_folds)
