"""A DICOM node: photographs come in by C-STORE, results go out; nothing is lost in between.

What the archive was told is stored lies in a queue on the disk before it is told so, and leaves it
only when the results are at their destination. It needs the extra `dicom`.
"""
