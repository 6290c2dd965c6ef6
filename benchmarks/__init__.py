"""What the package is measured with; run from the repository's root, nothing is installed."""
