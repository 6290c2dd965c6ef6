"""Servers, models and files that tests stand in for the real ones."""
