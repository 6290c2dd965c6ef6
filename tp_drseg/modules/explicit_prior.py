"""Explicit prior encoder: where does the photograph look like what the text says? (Eq. 1)."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tp_drseg.config import DenseFeatures
from tp_drseg.errors import PromptError
from tp_drseg.modules.clip import SmallCLIP, dense_image_features, encode_text, tokenize
from tp_drseg.modules.constants import CLIP_PIXEL_MEAN, CLIP_PIXEL_STD
from tp_drseg.modules.fundus_tower import FundusTower
from tp_drseg.modules.precision import ExactParts, float32_or_longer

_MOST_TEXTS = 1000
"""Text features that are kept: some 2 MB."""

_AT_ONCE = 4
"""Prompts in one product with the image features."""


class ExplicitPriorEncoder(ExactParts):
    """Turns a photograph and explicit descriptions into prior maps with a frozen CLIP.

    Eq. 1 of TP-DRSeg: `S = cos(P_v, P_t)` for each patch; the explicit prior `P_e` is `S`
    min-max normalised for each image and prompt. `P_v` are CLIP's dense image features, `P_t`
    the feature of a description; several descriptions of one lesion are averaged.

    Args:
        clip: what `build_clip` gives; it is frozen here.
        image_size: side in pixels of the square that holds the whole field of view.
        features: which dense features to read, see `dense_image_features`.

    Example:
        >>> import torch
        >>> from tp_drseg import TPDRSeg
        >>> encoder = TPDRSeg.from_pretrained().network.explicit_prior
        >>> images = torch.rand(1, 3, 64, 64)
        >>> encoder(images, ["tiny round dark red dots", "white fluffy spots"]).shape
        torch.Size([1, 2, 4, 4])
    """

    pixel_mean: Tensor
    pixel_std: Tensor
    exact_buffers = ("pixel_mean", "pixel_std")

    def __init__(self, clip: nn.Module, image_size: int, features: DenseFeatures = "value") -> None:
        super().__init__()
        self.clip: Any = clip.requires_grad_(False).eval()
        self.image_size = image_size
        self.features = features
        for name, values in (("pixel_mean", CLIP_PIXEL_MEAN), ("pixel_std", CLIP_PIXEL_STD)):
            buffer = torch.tensor(values, dtype=torch.float32).view(3, 1, 1)
            self.register_buffer(name, buffer, persistent=False)

        self._texts_read: dict[Hashable, Tensor] = {}
        self.register_load_state_dict_post_hook(_forget_texts)  # type: ignore[no-untyped-call]

    def exact_modules(self) -> Iterable[nn.Module]:
        """Return the text tower: its 8-bit weights have no rounding left to give."""
        return [self.clip.text] if isinstance(self.clip, SmallCLIP) else []

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> ExplicitPriorEncoder:
        self._texts_read.clear()  # they are on another device, or of another type
        super()._apply(fn, recurse)
        return self

    def train(self, mode: bool = True) -> ExplicitPriorEncoder:
        """CLIP is frozen: it stays in evaluation mode whatever the mode of its parent."""
        return super().train(False)

    @torch.no_grad()
    def image_features(self, images: Tensor) -> Tensor:
        """Dense image features `P_v` of unit length.

        Args:
            images: `(B, 3, H, W)` RGB in [0, 1], the whole field of view.

        Returns:
            `(B, D, h, w)`, one vector a patch; float32, whatever CLIP computes in.
        """
        return self.image_and_coarse_features(images)[0]

    @torch.no_grad()
    def image_and_coarse_features(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return `image_features`, and what a `FundusTower` makes them of, for the anatomy head.

        Returns:
            `(B, D, h, w)` of unit length; and `(B, 160, H / 16, W / 16)`, the tower's coarsest
            level, None for another tower.
        """
        normalised = (images - self.pixel_mean) / self.pixel_std
        visual, coarse = self.clip.visual, None
        if isinstance(visual, FundusTower):
            features, coarse = visual.dense_and_coarse(normalised)
        else:
            features = dense_image_features(visual, normalised, self.features)
        return F.normalize(float32_or_longer(features), dim=1), coarse

    @torch.no_grad()
    def text_features(self, texts: str | Sequence[str], named: str | None = None) -> Tensor:
        """Return the text feature `P_t` of one lesion, `(D,)`, of unit length; float32.

        The unit features of several descriptions are averaged and normalised again. CLIP reads a
        description once: its feature is kept as long as CLIP's weights stay as they are.

        Args:
            texts: One or several.
            named: The lesion that they are said to describe, see `TextTower.features`; to
                open_clip's towers, which know no lesions, it says nothing.

        Raises:
            PromptError: when there is no text, or one is empty.
        """
        texts = [texts] if isinstance(texts, str) else list(texts)
        if not texts or not all(isinstance(t, str) and t.strip() for t in texts):
            raise PromptError(f"A description must be a text that is not empty; got {texts!r}.")
        return self._kept(("feature", named, *texts), lambda: self._encode(texts, named)).clone()

    @torch.no_grad()
    def sentences(self, texts: Sequence[str]) -> Tensor:
        """Return the sentence vectors of T texts, `(T, C)`; they are kept, too.

        Raises:
            PromptError: when one is longer than the tower reads.
        """
        tower = self.clip.text
        read = self._kept(
            ("sentences", *texts),
            lambda: tower.encoder(tower.tokenize(texts).to(self.pixel_mean.device)),
        )
        return read.clone()

    def _kept(self, key: tuple[Hashable, ...], make: Callable[[], Tensor]) -> Tensor:
        # a weight that is changed in place counts it
        key += tuple(p._version for p in self.clip.parameters() if not p.is_inference())
        found = self._texts_read.get(key)
        if found is None:
            with torch.inference_mode(False):  # else what is kept could not be learned with
                found = make()
            if len(self._texts_read) >= _MOST_TEXTS:
                self._texts_read.clear()
            self._texts_read[key] = found
        return found

    @torch.no_grad()
    def _encode(self, texts: Sequence[str], named: str | None) -> Tensor:
        if isinstance(self.clip, SmallCLIP):
            features = self.clip.text.features(self.sentences(texts), named)
        else:
            features = encode_text(self.clip, tokenize(self.clip, texts).to(self.pixel_mean.device))
        return F.normalize(F.normalize(features.float(), dim=-1).mean(dim=0), dim=0)

    def forward(
        self,
        images: Tensor,
        texts: Sequence[str | Sequence[str]],
        where: Tensor | None = None,
        named: Sequence[str | None] | None = None,
    ) -> Tensor:
        """Explicit priors `P_e` of every image and prompt.

        Args:
            images: `(B, 3, H, W)` RGB in [0, 1].
            texts: for each of L prompts a description or several.
            where: `(B, 1, h, w)` bool, the patches inside the field of view; see `min_max`.
            named: for each prompt the lesion that its texts are said to describe, if any.

        Returns:
            `(B, L, h, w)` in [0, 1].
        """
        asked = zip(texts, named or [None] * len(texts), strict=True)
        text_features = torch.stack([self.text_features(text, name) for text, name in asked])
        return min_max(similarity(self.image_features(images), text_features), where)


def _forget_texts(encoder: ExplicitPriorEncoder, _: object) -> None:
    encoder._texts_read.clear()


def similarity(image_features: Tensor, text_features: Tensor) -> Tensor:
    """Cosine `S` of unit features: `(B, D, h, w)` and `(L, D)` give `(B, L, h, w)` in [-1, 1]."""
    text_features = text_features.to(image_features.dtype)
    # always as many at once: what a prompt gets must not depend on how many others are asked
    count = len(text_features)
    padded = F.pad(text_features, (0, 0, 0, -count % _AT_ONCE))
    maps = [
        torch.einsum("bdhw,ld->blhw", image_features, some)
        for some in torch.split(padded, _AT_ONCE)
    ]
    return torch.cat(maps, dim=1)[:, :count]


def min_max(similarities: Tensor, where: Tensor | None = None) -> Tensor:
    """Min-max normalisation for each image and prompt, the second half of Eq. 1.

    Args:
        similarities: `(B, L, h, w)`.
        where: `(B, 1, h, w)` bool; the extremes are taken over these patches alone, and the
            others become 0. The black surround of a photograph says nothing about its lesions.

    Returns:
        `(B, L, h, w)` in [0, 1]; all zero, never NaN, where the similarity is constant.
    """
    if where is None:
        where = torch.ones_like(similarities[:, :1], dtype=torch.bool)
    low = similarities.masked_fill(~where, torch.inf).amin(dim=(-2, -1), keepdim=True)
    high = similarities.masked_fill(~where, -torch.inf).amax(dim=(-2, -1), keepdim=True)
    span = high - low
    # below this span the map is rounding noise, which min-max would blow up to a full-range prior
    usable = where & (span > 1e-6)
    scaled = (similarities - low) / torch.where(span > 1e-6, span, torch.ones_like(span))
    return torch.where(usable, scaled.clamp(0, 1), torch.zeros_like(similarities))
