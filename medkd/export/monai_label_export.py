"""From a finished run to a folder that MONAI Label's server starts."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from medkd.export.bundle_export import choose_name, write_bundle_folder
from medkd.export.ranking_agreement import ranking_agreement
from medkd.export.trained_run import read_run
from medkd.files import atomic_folder, atomic_write
from medkd.texts import check_path

if TYPE_CHECKING:
    from medkd.export.export_proof import Proof
    from medkd.export.ranking_agreement import RankingAgreement

__all__ = ["ExportedApp", "export_monailabel"]

_MAIN = '''\
"""MONAI Label starts here; what the app does is in medkd."""

from medkd.export import monai_label_app

StudentApp = monai_label_app()
'''
_REQUIREMENTS = """\
# MONAI Label 0.8.5 needs older versions than it says; give it an environment of its own.
monailabel==0.8.5
pydicom<3
pynetdicom<3
dicomweb-client<0.60
medkd
"""


@dataclass(frozen=True)
class ExportedApp:
    """An app folder that was written.

    Args:
        app_dir: the folder.
        name: of the student in it.
        proof: that its bundle segments as the run does.
        agreement: of the student's ranking of cases with the ensemble's; ``None`` if the run was
            not evaluated.
    """

    app_dir: Path
    name: str
    proof: Proof
    agreement: RankingAgreement | None

    @property
    def server_command(self) -> str:
        """The line that starts the server, with ``STUDIES`` for the folder of images."""
        return f"monailabel start_server --app {shlex.quote(str(self.app_dir))} --studies STUDIES"


def export_monailabel(
    run_dir: str | Path,
    output: str | Path,
    *,
    name: str | None = None,
    manifest: str | Path | None = None,
) -> ExportedApp:
    """Write the student of a run as a MONAI Label app, for 3D Slicer and other viewers.

    The bundle in it is that of :func:`medkd.export.export_bundle`, proved in the same way. The app
    ranks unlabeled images by the student's uncertainty, for which medkd is installed on the server.

    Args:
        run_dir: the run's folder.
        output: the app's folder, which must be new.
        name: of the student in the viewer's list; by default after the data set.
        manifest: of the data set, if the one that the run names is not there.

    Returns:
        What was written.

    Raises:
        FileExistsError: if ``output`` exists.
        FileNotFoundError: if a file of the run is missing.
        RuntimeError: if the bundle does not run without medkd.
        ValueError: if the weights do not fit, ``name`` will not do, MONAI would rewrite the path
            of ``output``, or the bundle segments otherwise than the run. In all these cases nothing
            is written.
    """
    # MONAI Label hands the path of a bundle to the parser.
    path = check_path(Path(output).expanduser().resolve(), where="the app's folder")
    with atomic_folder(path) as temporary:
        run = read_run(run_dir, manifest=manifest)
        name = choose_name(name, run)
        proof = write_bundle_folder(temporary / "model" / name, run, name=name)
        app = ExportedApp(path, name, proof, ranking_agreement(run.opened.folder))
        texts = {
            "main.py": _MAIN,
            "requirements.txt": _REQUIREMENTS,
            "README.md": _readme(app),
        }
        for file, text in texts.items():
            with atomic_write(temporary / file, "w") as stream:
                stream.write(text)
    return app


def _readme(app: ExportedApp) -> str:
    agreement = app.agreement or "the run has no report that says how its ranking agrees"
    return f"""\
# {app.name}, for MONAI Label

```
pip install --requirement requirements.txt
monailabel start_server --app {shlex.quote(app.app_dir.name)} --studies STUDIES
```

`STUDIES` is the folder of the images. In 3D Slicer, MONAI Label's extension asks for the server's
address, by default http://127.0.0.1:8000.

| in the viewer | what it does |
|---|---|
| model `{app.name}` | segments the image; the result lies on its grid |
| strategy `most_uncertain` | next sample: the unlabeled image that the student is least sure of |
| training | goes on from the student's weights with the labels saved, and replaces them |

Scores, mean predictive entropies, are made when the server starts and after training; `POST
/scoring/student_uncertainty` makes them at once. On its test cases: {agreement}.

For inference alone, `model/{app.name}` needs MONAI and no medkd: see its `docs/README.md`. A
bundle's JSON is code: serve only what you trust. Research use; not a medical device.
"""
