"""Compares the signs read off masks with the grades that ophthalmologists gave."""
