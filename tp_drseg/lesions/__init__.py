"""The lesions that a model knows: catalog, descriptions, and files of a user's own."""

from tp_drseg.lesions.catalog import Description, Lesion, LesionCatalog

__all__ = ["Description", "Lesion", "LesionCatalog"]
