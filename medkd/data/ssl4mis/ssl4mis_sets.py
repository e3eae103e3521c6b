"""What is known of the data sets that UA-MT and SSL4MIS distribute, beside their files."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["SSL4MIS_SETS", "Ssl4misSet"]


@dataclass(frozen=True)
class Ssl4misSet:
    """Fields of a manifest that the files do not state.

    Args:
        texts: ``name``, ``description``, ``source``, ``license`` and ``citation``.
        channel_name: of the only channel.
        class_names: stored label value to the name of its class.
        changes: a sentence on what whoever made the h5 files did to the scans; may be empty.
    """

    texts: dict[str, str] = field(default_factory=dict)
    channel_name: str = "image"
    class_names: dict[int, str] = field(default_factory=dict)
    changes: str = ""


SSL4MIS_SETS = {
    "ACDC": Ssl4misSet(
        texts={
            "name": "ACDC (SSL4MIS)",
            "description": (
                "Short-axis cine cardiac MRI in thick slices, with right ventricle, myocardium and "
                "left ventricle in two frames of each patient, end diastole and end systole: the "
                "training set of the Automated Cardiac Diagnosis Challenge (MICCAI 2017), as "
                "SSL4MIS distributes it."
            ),
            "source": (
                "https://github.com/HiLab-git/SSL4MIS (data/ACDC); before that "
                "https://humanheart-project.creatis.insa-lyon.fr/database/"
            ),
            "license": "CC BY-NC-SA 4.0.",
            "citation": (
                "O. Bernard, A. Lalande, C. Zotti, F. Cervenansky, et al. Deep learning techniques "
                "for automatic MRI cardiac multi-structures segmentation and diagnosis: is the "
                "problem solved? IEEE Transactions on Medical Imaging 37(11):2514-2525, 2018. "
                "Files and lists: X. Luo. SSL4MIS. GitHub, 2020."
            ),
        },
        channel_name="cine MR",
        class_names={1: "right_ventricle", 2: "myocardium", 3: "left_ventricle"},
        changes=(
            "SSL4MIS scaled the intensities of every volume to 0..1 and numbered the two frames of "
            "each patient 01 and 02."
        ),
    ),
    "LA": Ssl4misSet(
        texts={
            "name": "left atrium (UA-MT)",
            "description": (
                "Late gadolinium-enhanced cardiac MRI of people with atrial fibrillation, with the "
                "cavity of the left atrium: the training set of the Atrial Segmentation Challenge "
                "(MICCAI 2018), as UA-MT distributes it."
            ),
            "source": (
                "https://github.com/yulequan/UA-MT (data); before that "
                "https://www.cardiacatlas.org/atriaseg2018-challenge/"
            ),
            "license": "Not stated; terms of the challenge: see its page.",
            "citation": (
                "Z. Xiong, Q. Xia, Z. Hu, N. Huang, C. Bian, et al. A global benchmark of "
                "algorithms for segmenting the left atrium from late gadolinium-enhanced cardiac "
                "magnetic resonance imaging. Medical Image Analysis 67:101832, 2021. Files and "
                "lists: L. Yu, S. Wang, X. Li, C.-W. Fu, P.-A. Heng. Uncertainty-aware "
                "self-ensembling model for semi-supervised 3D left atrium segmentation. MICCAI "
                "2019, arXiv:1907.07034."
            ),
        },
        channel_name="LGE MR",
        class_names={1: "left_atrium"},
        changes=(
            "UA-MT cropped every scan in x and y to its label and a random margin, also those that "
            "are measured on, after scaling it to mean 0 and deviation 1. Some people may have "
            "been scanned twice, before and after ablation, which names do not say."
        ),
    ),
}
