"""Scores of a model on annotated photographs, each under a declared convention."""
