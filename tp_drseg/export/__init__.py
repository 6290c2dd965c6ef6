"""Results as files: masks, overlays, tables. It works on arrays and knows no model."""

from tp_drseg._runtime.files import atomic_write
from tp_drseg.export.colours import lesion_colour
from tp_drseg.export.csv import write_csv
from tp_drseg.export.legend import add_legend
from tp_drseg.export.overlay import Layer, draw_heat_map, draw_layers
from tp_drseg.export.picture import encode_picture, save_picture
from tp_drseg.export.png import encode_mask, save_map, save_mask

__all__ = [
    "Layer",
    "add_legend",
    "atomic_write",
    "draw_heat_map",
    "draw_layers",
    "encode_mask",
    "encode_picture",
    "lesion_colour",
    "save_map",
    "save_mask",
    "save_picture",
    "write_csv",
]
