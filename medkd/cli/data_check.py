"""``medkd data check``: prove a folder against its manifest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from medkd.cli.manifest_summary import summarize_manifest
from medkd.cli.terminal import aligned, write
from medkd.cli.verb import Verb
from medkd.errors import InvalidValueError
from medkd.progress import progress

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from medkd.data import Case, Finding, Manifest

__all__ = ["VERB"]


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    what = "manifest of the data set, or its folder if that is of a usual shape"
    parser.add_argument("manifest", metavar="MANIFEST", help=what)
    parser.add_argument(
        "--dataset_dir",
        metavar="DIR",
        help="folder that the manifest's paths are relative to; not needed for a folder",
    )


def _run(arguments: argparse.Namespace) -> int:
    """Check every case, with a progress bar, and list what is wrong.

    Args:
        arguments: ``manifest`` and ``dataset_dir``.

    Returns:
        1 if something must be mended, else 0.

    Raises:
        ValueError: if a manifest is given and no folder, or a folder and another.
    """
    # MONAI takes seconds to import, which `medkd --help` should not.
    from medkd.data import check_cases, find_unused_files

    manifest, folder = _find(Path(arguments.manifest).expanduser(), arguments.dataset_dir)
    bar = progress(
        check_cases(manifest, folder),
        total=len(manifest.cases),
        desc="checking cases",
        unit="case",
    )
    checked = list(bar)
    unused = find_unused_files(manifest, folder)
    return _report(manifest, checked, unused)


def _find(given: Path, dataset_dir: str | None) -> tuple[Manifest, Path]:
    """The manifest and the folder; a folder alone gets a manifest, which is not written."""
    from medkd.data import make_manifest, read_manifest

    if not given.is_dir():
        if dataset_dir is None:
            raise InvalidValueError(
                f"Expected --dataset_dir with the files of {given}, but got none."
            )
        return read_manifest(given), Path(dataset_dir)
    if dataset_dir is not None:
        raise InvalidValueError(
            f"Expected a manifest with --dataset_dir {dataset_dir}, but got the folder {given}."
        )
    manifest = make_manifest(given, fractions={"all": 1.0}, tolerant=True)
    write(manifest.changes)
    return manifest, given


def _report(
    manifest: Manifest, checked: Sequence[tuple[Case, list[Finding]]], unused: Sequence[Finding]
) -> int:
    split_of = {i: name for name, ids in manifest.splits.items() for i in ids}
    rows = [
        (case.case_id, case.patient, split_of.get(case.case_id, "-"), f.severity, f.message)
        for case, findings in checked
        for f in findings
    ]
    rows += [("-", "-", "-", finding.severity, finding.message) for finding in unused]
    if rows:
        write(aligned(("case", "patient", "split", "severity", "what"), rows))
        write("")
    write(f"{manifest.name}: {summarize_manifest(manifest)}")
    return _summarize(checked, num_warnings=sum(row[3] == "warning" for row in rows))


def _summarize(checked: Sequence[tuple[Case, list[Finding]]], *, num_warnings: int) -> int:
    errors = [sum(f.severity == "error" for f in findings) for _, findings in checked]
    faulty = sum(count > 0 for count in errors)
    if faulty:
        write(f"{sum(errors)} error(s) in {faulty} case(s) to mend, {num_warnings} warning(s)")
        return 1
    write(f"nothing to mend, {num_warnings} warning(s)")
    return 0


VERB = Verb(
    name="check",
    help="Read every file of a data set and say what is wrong. No file is changed.",
    add_arguments=_add_arguments,
    run=_run,
)
