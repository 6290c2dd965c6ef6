"""Readers of data sets: each returns a list of :class:`~tp_drseg.data.samples.Sample`."""

from tp_drseg.data.folder import read_folder
from tp_drseg.data.idrid import read_idrid
from tp_drseg.data.samples import Sample, hold_out, read_lesion_free, read_mask

__all__ = ["Sample", "hold_out", "read_folder", "read_idrid", "read_lesion_free", "read_mask"]
