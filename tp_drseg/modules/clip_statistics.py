"""OpenAI's CLIP statistics, RGB in [0, 1]; every CLIP here takes images normalised with them."""

PIXEL_MEAN = (0.48145466, 0.4578275, 0.40821073)
PIXEL_STD = (0.26862954, 0.26130258, 0.27577711)
