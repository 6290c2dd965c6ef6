"""The small CLIP behind the explicit prior, trained on fundus patches and descriptions."""
