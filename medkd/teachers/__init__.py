"""Ensembles as teachers, and what they leave behind for a student."""

from medkd.teachers.feature_teacher import FeatureTeacher, load_feature_teacher
from medkd.teachers.soft_label_store import SoftLabelStore, add_soft_labels
from medkd.teachers.soft_label_transforms import DecodeSoftLabeld, LoadSoftLabeld
from medkd.teachers.teacher_ensemble import TeacherEnsemble
from medkd.teachers.trained_networks import (
    count_members,
    load_members,
    load_network,
    load_peers,
    load_teacher,
    member_dir,
    member_weights_sha256,
)

__all__ = [
    "DecodeSoftLabeld",
    "FeatureTeacher",
    "LoadSoftLabeld",
    "SoftLabelStore",
    "TeacherEnsemble",
    "add_soft_labels",
    "count_members",
    "load_feature_teacher",
    "load_members",
    "load_network",
    "load_peers",
    "load_teacher",
    "member_dir",
    "member_weights_sha256",
]
