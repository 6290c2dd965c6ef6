"""From a photograph to results."""
