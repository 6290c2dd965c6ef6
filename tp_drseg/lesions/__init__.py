"""The lesions that a model knows: catalog, descriptions, and files of a user's own."""

from tp_drseg.lesions.catalog import LesionCatalog
from tp_drseg.lesions.lesion import Description, Lesion

__all__ = ["Description", "Lesion", "LesionCatalog"]
