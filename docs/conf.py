"""Builds the documentation: `sphinx-build -W docs build/docs`. Nothing is loaded from elsewhere."""

from tp_drseg import __version__

project = "TP-DRSeg"
author = "The tp-drseg developers"
copyright = "2026, The tp-drseg developers"
release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "TP-DRSeg"
default_role = "code"  # docstrings mark code as Markdown does
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_use_ivar = True
nitpicky = False
exclude_patterns = ["README.md"]
