"""Results for a clinic's archive: a segmentation, a structured report and a picture as DICOM."""
