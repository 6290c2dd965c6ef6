"""From a file to an image in its frame: reading, field of view, framing, measurements."""

from tp_drseg._runtime.limits import MAX_PIXELS
from tp_drseg.images.acquisition import Acquisition, Laterality
from tp_drseg.images.decode import IMAGE_SUFFIXES, MIN_SIDE, file_limit
from tp_drseg.images.doubt import fundus_doubt
from tp_drseg.images.field_of_view import FieldOfView, find_field_of_view
from tp_drseg.images.frame import Frame
from tp_drseg.images.framing import Framed, frame_photograph, pad_to_square
from tp_drseg.images.fundus import FundusImage, read_fundus
from tp_drseg.images.labels import Labels, decode_labels
from tp_drseg.images.measure import Region, area_percent, count_regions, find_regions, window_of
from tp_drseg.images.quality import Quality, Verdict, assess_quality
from tp_drseg.images.quality_numbers import QUALITY_DIAMETER, QualityNumbers
from tp_drseg.images.read import ImageSource, SourceImage, read_image, read_source
from tp_drseg.images.source import FileBytes, hash_file, read_file

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "MIN_SIDE",
    "QUALITY_DIAMETER",
    "Acquisition",
    "FieldOfView",
    "FileBytes",
    "Frame",
    "Framed",
    "FundusImage",
    "ImageSource",
    "Labels",
    "Laterality",
    "Quality",
    "QualityNumbers",
    "Region",
    "SourceImage",
    "Verdict",
    "area_percent",
    "assess_quality",
    "count_regions",
    "decode_labels",
    "file_limit",
    "find_field_of_view",
    "find_regions",
    "frame_photograph",
    "fundus_doubt",
    "hash_file",
    "pad_to_square",
    "read_file",
    "read_fundus",
    "read_image",
    "read_source",
    "window_of",
]
