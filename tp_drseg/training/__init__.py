"""Training: photographs in memory, random crops, losses, and the runs themselves."""
