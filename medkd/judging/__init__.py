"""From predictors and cases to scores."""

from medkd.judging.evaluation import evaluate_cases

__all__ = ["evaluate_cases"]
