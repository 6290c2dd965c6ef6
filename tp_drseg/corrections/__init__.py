"""What a reviewer has said of the results of a run, and the masks that were drawn."""
