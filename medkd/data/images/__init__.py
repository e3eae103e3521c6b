"""Files of pictures and volumes, read and written."""

from __future__ import annotations

from medkd.data.images.image_file_reader import ImageFileReader, stored_channels
from medkd.data.images.image_files import image_files, image_sha256
from medkd.data.images.image_folder import images_in
from medkd.data.images.volume_file_reader import VolumeFileReader
from medkd.data.images.volume_formats import VOLUME_SUFFIXES

__all__ = [
    "VOLUME_SUFFIXES",
    "ImageFileReader",
    "VolumeFileReader",
    "image_files",
    "image_sha256",
    "images_in",
    "stored_channels",
]
