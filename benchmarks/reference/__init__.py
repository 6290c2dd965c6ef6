"""The method written straight from its equations, to compare the package with."""
