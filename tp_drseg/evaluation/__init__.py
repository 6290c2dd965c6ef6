"""Metrics with declared conventions."""
