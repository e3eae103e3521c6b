"""From a user's data set to a bundle that is made for it: fingerprint, choices, files."""

from __future__ import annotations

from medkd.planning.architecture_choice import choose_channels, choose_strides
from medkd.planning.bundle_plan import BundlePlan, plan_bundle
from medkd.planning.bundle_source import compose_bundle, write_bundles
from medkd.planning.bundle_template import METHODS, BundleTemplate, Method, find_template
from medkd.planning.bundle_writing import check_dataset_dir, check_output, write_bundle
from medkd.planning.choice import Choice
from medkd.planning.fingerprint import (
    ChannelFingerprint,
    ClassFingerprint,
    Fingerprint,
    take_fingerprint,
)
from medkd.planning.inference_config import inference_config
from medkd.planning.json_layout import format_json
from medkd.planning.memory_estimate import NetworkCost, measure_network, training_memory
from medkd.planning.normalization_choice import choose_normalization
from medkd.planning.patch_choice import choose_patch
from medkd.planning.spacing_choice import choose_spacing

__all__ = [
    "METHODS",
    "BundlePlan",
    "BundleTemplate",
    "ChannelFingerprint",
    "Choice",
    "ClassFingerprint",
    "Fingerprint",
    "Method",
    "NetworkCost",
    "check_dataset_dir",
    "check_output",
    "choose_channels",
    "choose_normalization",
    "choose_patch",
    "choose_spacing",
    "choose_strides",
    "compose_bundle",
    "find_template",
    "format_json",
    "inference_config",
    "measure_network",
    "plan_bundle",
    "take_fingerprint",
    "training_memory",
    "write_bundle",
    "write_bundles",
]
