"""Photographs and masks made into what a step learns from."""
