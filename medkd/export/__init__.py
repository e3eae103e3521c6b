"""From a run to what others can use: a standard bundle, a MONAI Label app, network formats."""

from medkd.export.bundle_export import export_bundle
from medkd.export.export_proof import Proof
from medkd.export.monai_label_app import monai_label_app
from medkd.export.monai_label_export import ExportedApp, export_monailabel
from medkd.export.most_uncertain_strategy import MostUncertainStrategy
from medkd.export.network_formats import export_onnx, export_torchscript
from medkd.export.ranking_agreement import RankingAgreement, ranking_agreement
from medkd.export.student_uncertainty import StudentUncertainty
from medkd.export.uncertainty_scoring import UncertaintyScoring

__all__ = [
    "ExportedApp",
    "MostUncertainStrategy",
    "Proof",
    "RankingAgreement",
    "StudentUncertainty",
    "UncertaintyScoring",
    "export_bundle",
    "export_monailabel",
    "export_onnx",
    "export_torchscript",
    "monai_label_app",
    "ranking_agreement",
]
