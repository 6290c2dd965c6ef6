"""Weights on disk and on the Hub, as functions of a configuration, tensors and modules."""
