"""Trains the anatomy head on the frozen features of the encoder that ships."""
