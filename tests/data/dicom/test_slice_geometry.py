from __future__ import annotations

import numpy as np
import pytest

from medkd.data.dicom.slice_geometry import order_slices


def move(header, *, along):
    """Shift a slice in mm."""
    place = np.asarray(header.ImagePositionPatient, dtype=float) + along
    header.ImagePositionPatient = [round(float(v), 10) for v in place]


def test_order_is_along_the_normal_whatever_the_files_are_called(dicom):
    slices = dicom.slices(orientation=dicom.oblique)
    shuffled = [slices[i] for i in (3, 0, 4, 1, 2)]
    order, affine = order_slices(shuffled, where="it")
    assert order == [1, 3, 4, 0, 2]
    # The center of the first pixel of every slice, back in DICOM's directions.
    for place, ct in enumerate(slices):
        expected = np.asarray(ct.ImagePositionPatient) * (-1, -1, 1)
        np.testing.assert_allclose((affine @ [0, 0, place, 1])[:3], expected, atol=1e-8)


def test_affine_is_that_of_the_standard(dicom):
    """Equation C.7.6.2.1-1 of DICOM PS3.3, written out for one pixel."""
    slices = dicom.slices(orientation=dicom.oblique)
    ct, c, r = slices[0], 5, 3
    _, affine = order_slices(slices, where="it")
    row, column = np.reshape(ct.ImageOrientationPatient, (2, 3))
    rows_apart, columns_apart = ct.PixelSpacing
    lps = np.asarray(ct.ImagePositionPatient) + row * columns_apart * c + column * rows_apart * r
    np.testing.assert_allclose((affine @ [c, r, 0, 1])[:3], lps * (-1, -1, 1), atol=1e-8)


def test_rounded_headers_pass(dicom):
    slices = dicom.slices(orientation=dicom.oblique, shape=(7, 6, 40))
    for ct in slices:
        ct.ImagePositionPatient = [round(float(v), 2) for v in ct.ImagePositionPatient]
        ct.ImageOrientationPatient = [round(float(v), 4) for v in ct.ImageOrientationPatient]
    order, _ = order_slices(slices, where="it")
    assert order == list(range(40))


def tilt(slices):
    for number, ct in enumerate(slices):
        move(ct, along=(0, 0.5 * number, 0))


def lose_two_slices(slices):
    del slices[2]
    del slices[3]


def space_unevenly(slices):
    move(slices[2], along=(0, 0, 0.9))


def mix_orientations(slices):
    slices[4].ImageOrientationPatient = [1, 0, 0, 0, 0, -1]


def mix_sizes(slices):
    slices[1].Rows = 9


def mix_pixel_spacings(slices):
    slices[1].PixelSpacing = [1.25, 0.8]


def repeat_a_position(slices):
    slices[3].ImagePositionPatient = slices[2].ImagePositionPatient


def lose_the_spacing(slices):
    del slices[0].PixelSpacing


def shear_the_axes(slices):
    for ct in slices:
        ct.ImageOrientationPatient = [1, 0, 0, 0.1, 0.995, 0]


def zero_the_spacing(slices):
    slices[0].PixelSpacing = [0, 1]


def drop_the_number(slices):
    slices[0].ImagePositionPatient = [0, 0]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (tilt, "each is shifted against the next: the gantry was tilted by 11.3 degrees"),
        (lose_two_slices, r"every 2\.5 mm, but 1 slice\(s\) are missing, the first after slice 2"),
        (space_unevenly, r"to be evenly spaced, but got distances from 1\.6 to 3\.4 mm"),
        (mix_orientations, r"to be parallel, but got mixed orientations, up to 90\.0 degrees"),
        (mix_sizes, "to be of one size, but got 2 sizes"),
        (mix_pixel_spacings, r"to have one pixel spacing, but got 0\.75 to 1\.25 mm"),
        (repeat_a_position, "one slice at each position of it, but 1 lie where another does"),
        (lose_the_spacing, "to state its position, orientation and pixel spacing in numbers"),
        (shear_the_axes, "along two directions at right angles, but one does not"),
        (zero_the_spacing, "to have pixels with sides above zero"),
        (drop_the_number, "to state its position, orientation and pixel spacing in numbers"),
    ],
)
def test_rejects(dicom, spoil, message):
    slices = dicom.slices()
    spoil(slices)
    with pytest.raises(ValueError, match=message):
        order_slices(slices, where="it")


@pytest.mark.parametrize("lost", [1, 2, 27, 38])
def test_rejects_a_missing_slice_wherever_it_is(dicom, lost):
    slices = dicom.slices(shape=(3, 2, 40))
    del slices[lost]
    message = rf"1 slice\(s\) are missing, the first after slice {lost} of 39"
    with pytest.raises(ValueError, match=message):
        order_slices(slices, where="it")


def test_rejects_a_lone_slice(dicom):
    with pytest.raises(ValueError, match="Expected it to be a volume, but got a lone slice"):
        order_slices(dicom.slices()[:1], where="it")
