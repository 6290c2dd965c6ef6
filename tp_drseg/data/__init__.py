"""Readers of data sets: each returns a list of :class:`~tp_drseg.data.samples.Sample`."""

from tp_drseg.data.check import LesionCount, Survey, fingerprint
from tp_drseg.data.ddr import read_ddr
from tp_drseg.data.eophtha import read_eophtha
from tp_drseg.data.fgadr import read_fgadr
from tp_drseg.data.folder import read_folder
from tp_drseg.data.formats import FORMATS, Format, choose_split, read_dataset
from tp_drseg.data.graded import Graded, read_graded
from tp_drseg.data.idrid import read_idrid
from tp_drseg.data.masks import MaskFile, read_ignored, read_mask
from tp_drseg.data.retinal_lesions import read_retinal_lesions
from tp_drseg.data.review import read_review
from tp_drseg.data.samples import Sample, hold_out, read_lesion_free, split_folds
from tp_drseg.data.tjdr import read_tjdr

__all__ = [
    "FORMATS",
    "Format",
    "Graded",
    "LesionCount",
    "MaskFile",
    "Sample",
    "Survey",
    "choose_split",
    "fingerprint",
    "hold_out",
    "read_dataset",
    "read_ddr",
    "read_eophtha",
    "read_fgadr",
    "read_folder",
    "read_graded",
    "read_idrid",
    "read_ignored",
    "read_lesion_free",
    "read_mask",
    "read_retinal_lesions",
    "read_review",
    "read_tjdr",
    "split_folds",
]
