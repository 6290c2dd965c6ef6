"""A folder of photographs in, a folder of results out."""
