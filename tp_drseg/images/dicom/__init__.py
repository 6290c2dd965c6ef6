"""DICOM in: photographs by what a file holds, its header checked before anything is decoded."""
