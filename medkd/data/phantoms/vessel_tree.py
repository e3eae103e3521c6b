"""Growing the arteries and veins of a retina: where they run and how thick they are."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.interpolate import CubicSpline

from medkd.data.phantoms.vessel_path import (
    Clearance,
    arc_lengths,
    candidate_paths,
    free_length,
    resample,
)

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

__all__ = ["Anatomy", "Branch", "grow_vessels"]

Kind = Literal["artery", "vein"]

_STEP = 0.01
_MURRAY = 3.0
_VEIN_TRUNK_RADIUS = 0.0152  # of the radius of the field of view; the disc's own is about 0.13
_ARTERY_TO_VEIN = 2 / 3
_SHORTEST_BRANCH = 0.05
_NUM_CANDIDATES = 9
# The way of each trunk as seen from the disc of a right eye (x is nasal, y is down), in units of
# the field's radius, and its calibre relative to the thickest.
_TRUNK_ROUTES: tuple[tuple[float, tuple[tuple[float, float], ...]], ...] = (
    (1.0, ((0.01, -0.12), (-0.10, -0.34), (-0.36, -0.53), (-0.75, -0.60), (-1.15, -0.46),
           (-1.5, -0.25))),
    (1.0, ((0.01, 0.12), (-0.10, 0.34), (-0.36, 0.55), (-0.75, 0.64), (-1.15, 0.52),
           (-1.5, 0.30))),
    (0.72, ((0.03, -0.12), (0.11, -0.34), (0.22, -0.60), (0.36, -0.95))),
    (0.72, ((0.03, 0.12), (0.11, 0.34), (0.22, 0.60), (0.36, 0.95))),
    (0.45, ((0.10, -0.04), (0.26, -0.10), (0.46, -0.18), (0.62, -0.20))),
    (0.38, ((-0.09, -0.05), (-0.22, -0.12), (-0.36, -0.13), (-0.48, -0.10))),
    (0.36, ((-0.09, 0.06), (-0.22, 0.15), (-0.36, 0.19), (-0.50, 0.17))),
)  # fmt: skip


@dataclass(frozen=True)
class Anatomy:
    """Landmarks of one right eye, in units of the radius of the field of view.

    The field's center is the origin, x points to the nose and y downward. A left eye is the mirror
    image of a right one.

    Args:
        disc: center of the optic disc.
        disc_radius: its mean radius.
        fovea: center of the fovea.
    """

    disc: tuple[float, float]
    disc_radius: float
    fovea: tuple[float, float]


@dataclass(frozen=True)
class Branch:
    """One unbranched course of a vessel; its side branches are branches of their own.

    Args:
        kind: ``"artery"`` or ``"vein"``.
        points: centerline, ``(P, 2)`` as (x, y), in units of the radius of the field of view.
        radii: half the calibre at each point, ``(P,)``, same unit.
        visibility: how much of its full contrast the vessel shows at each point, ``(P,)`` in
            ``(0, 1]``.
        parent: index of the branch it leaves, or -1 for a trunk.
        junction: index of the point of the parent that it leaves from.
    """

    kind: Kind
    points: NDArray[np.float64]
    radii: NDArray[np.float64]
    visibility: NDArray[np.float64]
    parent: int = -1
    junction: int = -1


@dataclass
class _Growth:
    """What has grown so far, and the room that is left."""

    rng: Generator
    min_radius: float
    tortuosity: float
    clearance: Clearance
    arch: float = 1.0
    branches: list[Branch] = field(default_factory=list)
    # Thick before thin, so that the small vessels fill the gaps that the large ones leave.
    pending: list[tuple[float, int]] = field(default_factory=list)

    def add(self, branch: Branch) -> None:
        self.clearance.occupy(branch.kind, branch.points)
        heapq.heappush(self.pending, (-float(branch.radii[0]), len(self.branches)))
        self.branches.append(branch)


def grow_vessels(rng: Generator, anatomy: Anatomy, *, min_radius: float) -> list[Branch]:
    r"""Arterial and venous trees that leave the disc and fill the retina down to ``min_radius``.

    Trunks follow the arcades round the fovea. Along every vessel side branches leave where there
    is room, and calibres follow Murray's law at each junction,

    .. math::
        r_0^3 = r_1^3 + r_2^3,

    with a slight taper between junctions. Arteries are two thirds as wide as the veins of the same
    order. Two vessels of one kind never cross; an artery and a vein may.

    Args:
        rng: the only source of chance.
        anatomy: landmarks of the eye.
        min_radius: radius at which vessels end, in units of the radius of the field of view. The
            trunks are widened where they would otherwise be thinner than three times this.

    Returns:
        The branches, parents before their children.

    Example:
        >>> import numpy as np
        >>> anatomy = Anatomy(disc=(0.5, 0.0), disc_radius=0.13, fovea=(-0.15, 0.05))
        >>> branches = grow_vessels(np.random.default_rng(0), anatomy, min_radius=0.004)
        >>> sum(branch.parent == -1 for branch in branches)  # 7 arteries and 7 veins
        14

    References:
        C. D. Murray. The physiological principle of minimum work: I. The vascular system and the
        cost of blood volume. Proc. Natl. Acad. Sci. 12(3):207-214, 1926.
    """
    clearance = Clearance(anatomy.disc, anatomy.disc_radius, anatomy.fovea)
    growth = _Growth(rng, min_radius, float(rng.uniform(0.10, 0.28)), clearance)
    vein_radius = max(_VEIN_TRUNK_RADIUS * float(rng.uniform(0.9, 1.1)), 3.0 * min_radius)
    for calibre, route in _TRUNK_ROUTES:
        # A vein and its artery share the way but seldom the side.
        side = float(rng.choice([-1.0, 1.0]))
        growth.arch = float(rng.uniform(0.84, 1.1))
        radius = calibre * vein_radius
        growth.add(_trunk(growth, anatomy, "vein", route, radius, side))
        growth.add(_trunk(growth, anatomy, "artery", route, radius * _ARTERY_TO_VEIN, -side))
    while growth.pending:
        _, index = heapq.heappop(growth.pending)
        _branch_out(growth, index, anatomy)
    return growth.branches


def _trunk(
    growth: _Growth,
    anatomy: Anatomy,
    kind: Kind,
    route: tuple[tuple[float, float], ...],
    radius: float,
    shift: float,
) -> Branch:
    """A trunk along ``route``, displaced sideways a little and unlike any other."""
    rng = growth.rng
    knots = np.asarray(route)
    spread = np.linspace(0.012, 0.05, len(knots))[:, None]
    origin = np.asarray([[0.02 * shift + 0.015, 0.0]]) + rng.normal(0.0, 0.014, (1, 2))
    sideways = np.gradient(knots, axis=0)[:, ::-1] * [1.0, -1.0]
    sideways /= np.linalg.norm(sideways, axis=1, keepdims=True)
    knots = knots * [rng.uniform(0.9, 1.1), growth.arch * rng.uniform(0.96, 1.04)]
    knots = knots + sideways * shift * spread * 0.8 + rng.normal(0.0, 0.55, knots.shape) * spread
    # The trunks grow with the distance of the fovea, so that they always arch round it.
    scale = (anatomy.disc[0] - anatomy.fovea[0]) / 0.67
    knots = np.concatenate([origin, knots * scale]) + np.asarray(anatomy.disc)
    spline = CubicSpline(arc_lengths(knots), knots)
    fine = spline(np.linspace(0.0, spline.x[-1], 400))
    points = resample(_meander(rng, fine, growth.tortuosity), _STEP)
    outside = np.flatnonzero(np.hypot(*points.T) > 1.04)
    points = points[: outside[0]] if len(outside) else points
    fraction = np.linspace(0.0, 1.0, len(points))
    radii = np.maximum(radius * (1.0 - 0.25 * fraction), growth.min_radius)
    emerging = np.clip(0.55 + 6.0 * arc_lengths(points), 0.0, 1.0)
    return Branch(kind, points, radii, emerging)


def _meander(rng: Generator, points: NDArray[np.float64], tortuosity: float) -> NDArray[np.float64]:
    """``points`` pushed to and fro across their course, by more where it is longer."""
    tangent = np.gradient(points, axis=0)
    normal = tangent[:, ::-1] * [1.0, -1.0] / np.linalg.norm(tangent, axis=1, keepdims=True)
    position = arc_lengths(points)
    sway = np.zeros(len(points))
    for wavelength in (0.11, 0.19, 0.37):
        phase, strength = rng.uniform(0.0, 2 * np.pi), rng.normal()
        sway += strength * wavelength * np.sin(2 * np.pi * position / wavelength + phase)
    sway *= 0.13 * tortuosity * np.clip(position / 0.3, 0.0, 1.0)
    return points + normal * sway[:, None]


def _branch_out(growth: _Growth, index: int, anatomy: Anatomy) -> None:
    """Side branches along one branch, and two where it ends."""
    rng, parent = growth.rng, growth.branches[index]
    position = arc_lengths(parent.points)
    at = 0.04 * float(rng.uniform(0.6, 1.4)) + 2.0 * parent.radii[0]
    side = float(rng.choice([-1.0, 1.0]))
    while at < position[-1] - 0.03:
        junction = int(np.searchsorted(position, at))
        radius = float(parent.radii[junction])
        off_disc = np.hypot(*(parent.points[junction] - anatomy.disc)) > 1.25 * anatomy.disc_radius
        if off_disc:
            share = float(rng.uniform(0.35, 0.68 if parent.parent < 0 else 0.85))
            angle = side * float(rng.uniform(0.75, 1.25))
            if _sprout(growth, index, junction, share * radius, angle):
                rest = (radius**_MURRAY - (share * radius) ** _MURRAY) ** (1 / _MURRAY)
                parent.radii[junction + 1 :] *= rest / radius
            side = -side if rng.random() < 0.8 else side
        at += (0.05 + 8.0 * radius) * float(rng.uniform(0.5, 1.5))
    _fork(growth, index)


def _fork(growth: _Growth, index: int) -> None:
    """Ends a branch in two thinner ones, unless it has left the field or is thin already."""
    rng, parent = growth.rng, growth.branches[index]
    ratio = float(rng.uniform(0.6, 1.0))
    radius = float(parent.radii[-1]) / (1.0 + ratio**_MURRAY) ** (1 / _MURRAY)
    if np.hypot(*parent.points[-1]) > 1.0:
        return
    side = float(rng.choice([-1.0, 1.0]))
    last = len(parent.points) - 1
    _sprout(growth, index, last, radius, side * float(rng.uniform(0.2, 0.5)))
    _sprout(growth, index, last, ratio * radius, -side * float(rng.uniform(0.5, 0.9)))


def _sprout(growth: _Growth, index: int, junction: int, radius: float, angle: float) -> bool:
    """Adds a branch of ``radius`` that leaves at ``angle``, if it is wide enough and has room."""
    rng, parent = growth.rng, growth.branches[index]
    if radius < growth.min_radius:
        return False
    ahead = parent.points[junction] - parent.points[max(junction - 3, 0)]
    heading = float(np.arctan2(ahead[1], ahead[0])) + angle
    paths = candidate_paths(
        rng,
        parent.points[junction],
        heading=heading,
        bend=-angle,
        length=0.14 + 65.0 * radius,
        step=_STEP,
        tortuosity=growth.tortuosity,
        num=_NUM_CANDIDATES,
    )
    lengths, room = free_length(
        growth.clearance, parent.kind, paths, step=_STEP, gap=0.088 + 4.0 * radius
    )
    best = int(np.argmax(lengths * (0.03 + room)))
    num_points = int(lengths[best] / _STEP)
    if num_points * _STEP < _SHORTEST_BRANCH:
        return False
    points = paths[best, :num_points]
    fraction = np.linspace(0.0, 1.0, num_points)
    radii = np.maximum(radius * (1.0 - 0.2 * fraction), 0.9 * growth.min_radius)
    # Thin vessels lie at all depths, and their ends dive out of sight.
    thinness = np.clip(3.5 * growth.min_radius / radii, 0.0, 1.0)
    dimming = 1.0 - float(rng.uniform(0.0, 0.55)) * thinness * (0.4 + 0.6 * fraction)
    visibility = parent.visibility[junction] * dimming
    growth.add(Branch(parent.kind, points, radii, visibility, index, junction))
    return True
