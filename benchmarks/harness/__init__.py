"""What measurements share: processes, the machine, checkpoints, files of results."""
