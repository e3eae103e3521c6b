"""Proving every file of a data set, case by case."""

from __future__ import annotations

from medkd.data.checks.case_checks import Finding, check_cases, find_unused_files

__all__ = ["Finding", "check_cases", "find_unused_files"]
