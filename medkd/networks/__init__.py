"""Networks are MONAI's; here is what medkd adds round them."""

from medkd.networks.feature_shapes import feature_channels, feature_shapes
from medkd.networks.feature_student import FeatureStudent
from medkd.networks.feature_taps import FeatureTaps
from medkd.networks.mean_teacher import MeanTeacher
from medkd.networks.peer_networks import PeerNetworks
from medkd.networks.reconstruction_decoder import ReconstructionDecoder
from medkd.networks.temperature_folding import (
    TemperedNetwork,
    at_temperature,
    fold_temperature,
)
from medkd.networks.two_task_network import TwoTaskNetwork
from medkd.networks.weighted_features import weighted_features
from medkd.networks.weights import (
    check_state,
    load_state,
    load_weights,
    save_state,
    save_weights,
)

__all__ = [
    "FeatureStudent",
    "FeatureTaps",
    "MeanTeacher",
    "PeerNetworks",
    "ReconstructionDecoder",
    "TemperedNetwork",
    "TwoTaskNetwork",
    "at_temperature",
    "check_state",
    "feature_channels",
    "feature_shapes",
    "fold_temperature",
    "load_state",
    "load_weights",
    "save_state",
    "save_weights",
    "weighted_features",
]
