"""Degrades real photographs step by step, and finds from where on a model misses lesions."""
