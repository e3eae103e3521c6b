"""What a run has shown: tables, figures, and one HTML page for the person who decides."""

from medkd.reports.case_figure import plot_case
from medkd.reports.case_scores_figure import plot_case_scores
from medkd.reports.evaluation_results import CasePicture, EvaluationResults, MethodResult
from medkd.reports.method_cost import MethodCost
from medkd.reports.reliability_figure import plot_reliability
from medkd.reports.risk_coverage_figure import plot_risk_coverage
from medkd.reports.score_columns import REGION_ENDINGS, WHOLE_IMAGE_ENDINGS, class_ending
from medkd.reports.summary_statement import summary_statement
from medkd.reports.terminal_table import format_table
from medkd.reports.training_figure import plot_training_curves
from medkd.reports.volume_grid import VolumeGrid
from medkd.reports.write_comparison import write_comparison
from medkd.reports.write_report import write_report

__all__ = [
    "REGION_ENDINGS",
    "WHOLE_IMAGE_ENDINGS",
    "CasePicture",
    "EvaluationResults",
    "MethodCost",
    "MethodResult",
    "VolumeGrid",
    "class_ending",
    "format_table",
    "plot_case",
    "plot_case_scores",
    "plot_reliability",
    "plot_risk_coverage",
    "plot_training_curves",
    "summary_statement",
    "write_comparison",
    "write_report",
]
