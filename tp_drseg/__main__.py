"""`python -m tp_drseg`: the command line."""

from tp_drseg.cli import run

run()
