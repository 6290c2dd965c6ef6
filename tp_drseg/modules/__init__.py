"""The parts of TP-DRSeg, from tensors to tensors."""
