"""One photograph opened for a model: read and framed once, and asked as often as one likes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from tp_drseg.anatomy import Anatomy
from tp_drseg.config import TPDRSegConfig
from tp_drseg.images import (
    MAX_PIXELS,
    QUALITY_DIAMETER,
    FieldOfView,
    ImageSource,
    Quality,
    assess_quality,
    read_fundus,
)
from tp_drseg.inference.geometry import Geometry
from tp_drseg.inference.locate import NO_HEAD, locate
from tp_drseg.inference.mirrors import AS_IT_IS, MIRRORS, Mirror
from tp_drseg.inference.placed import PlacedPoints
from tp_drseg.inference.prior import CLIPFeatures, clip_features, prior_cells, working_priors
from tp_drseg.inference.request import (
    Asked,
    Matcher,
    Prompt,
    as_prompt,
    as_prompts,
    check_texts,
    prompt_texts,
    prompt_threshold,
)
from tp_drseg.inference.result import Origin, Segmentation
from tp_drseg.inference.results import Segmentations
from tp_drseg.inference.tile_logits import TextPrompt, TileLogits
from tp_drseg.inference.words import matcher
from tp_drseg.modules.network import TPDRSegNetwork

KEPT_BYTES: Final = 1 << 30
"""What a session keeps of features and logits: some twenty prompts of the embedded model."""

Watch = Callable[[int, int], None]


class ImageSession:
    """A photograph in the frames of one model; what `TPDRSeg.load_image` gives.

    What has been computed is kept, up to `KEPT_BYTES`, until the session is closed: another
    lesion, another description or a click costs its own part alone. The explicit prior is made
    once, on the whole field of view: a min-max over a tile without lesions would invent one.

    One thread at a time may use a session; several sessions of one model may be used at once.
    Close it before the model's weights change.

    Args:
        network: Whom to ask, in evaluation mode.
        config: The network's configuration.
        image: The photograph, see `read_image`.
        origin: Where the weights came from, for the results.
        keep: Whether to keep features for the next question.
        max_pixels: The most pixels that the photograph may have, see `read_image`.

    Attributes:
        image: `(H, W, 3)` uint8 RGB, the photograph as read.
        field_of_view: Where the retina is.
        doubt: Why it does not look like a colour fundus photograph; None if it does.
        sha256: Hash of the very bytes that the photograph was decoded from; None where there was
            no file.
        acquisition: Which eye, pixel spacing and camera, where a DICOM file says so; None else.
        watch: Called before each tile of a question with the tile's number and how many there are;
            what it raises ends the question. None for nothing.

    Raises:
        ImageError: The image cannot be read or holds no field of view.

    Example:
        >>> from tp_drseg import TPDRSeg
        >>> model = TPDRSeg.from_pretrained()
        >>> with model.load_image("examples/retina_with_lesions.jpg") as session:
        ...     first, again = session.segment("EX"), session.segment("hard exudate")
        >>> first.area_px == again.area_px
        True
    """

    def __init__(
        self,
        network: TPDRSegNetwork,
        config: TPDRSegConfig,
        image: ImageSource,
        *,
        origin: Origin,
        keep: bool = True,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self.network, self.config, self.origin = network, config, origin
        self.keep = keep
        self.name = os.fspath(image) if isinstance(image, (str, os.PathLike)) else "the image"
        fundus = read_fundus(image, max_pixels=max_pixels)
        self.geometry = Geometry(fundus.pixels, fundus.field_of_view, config)
        self.doubt, self.sha256 = fundus.doubt, fundus.sha256
        self.acquisition, self._unlike = fundus.acquisition, fundus.unlike
        self.watch: Watch | None = None

    @property
    def image(self) -> NDArray[np.uint8]:
        """`(H, W, 3)` uint8 RGB, the photograph as read."""
        return self.geometry.image

    @property
    def field_of_view(self) -> FieldOfView:
        """Where the retina is."""
        return self.geometry.field_of_view

    def __enter__(self) -> ImageSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free what is kept; the session may still be used."""
        self.geometry.forget_pixels()
        for name in ("_working_image", "_clip", "_tile_logits"):
            self.__dict__.pop(name, None)

    def prepare(self) -> None:
        """Scale the photograph for both towers: what can be done while the model is busy."""
        self.geometry.prepare()

    def segment(self, lesion: Asked) -> Segmentation:
        """Segment one lesion; everything as for `TPDRSeg.segment`."""
        return self.segment_many([lesion])[0]

    def segment_many(self, lesions: Iterable[Asked] | None = None) -> Segmentations:
        """Segment several lesions; everything as for `TPDRSeg.segment_many`."""
        catalog = self.config.lesions
        prompts = as_prompts(lesions, catalog, self._matcher)
        working, priors = self._ask(prompts)
        probability = self.geometry.restore(working)
        inside = self.field_of_view.mask
        return Segmentations(
            tuple(
                Segmentation(
                    lesion=prompt.lesion,
                    abbreviation=catalog.resolve(prompt.lesion).abbreviation,
                    texts=prompt_texts(prompt, self.config),
                    threshold=prompt_threshold(prompt, self.config),
                    probability=own,
                    working_prior=prior,
                    frame=self.geometry.frame,
                    field_of_view=inside,
                    image=self.image,
                    doubt=self.doubt,
                    origin=self.origin,
                    match=prompt.match,
                )
                for prompt, own, prior in zip(
                    prompts, probability, self.geometry.unpadded(priors[0]), strict=True
                )
            ),
            catalog,
            self.anatomy,
            self._pixel_spacing,
        )

    @cached_property
    def anatomy(self) -> Anatomy:
        """Disc, fovea, eye and field; what is not known says why, in `Anatomy.reason`.

        It is read off features that segmenting needs anyway.
        """
        head = self.network.anatomy_head
        if head is None:
            return Anatomy.unknown(NO_HEAD)
        self.prepare()
        with torch.inference_mode():
            found = self._clip
            assert found.coarse is not None  # the configuration sees to it
            maps = head(found.coarse, found.inside)
        return locate(maps, self.geometry.clip_frame, self.acquisition)

    @cached_property
    def quality(self) -> Quality:
        """Whether the photograph is good enough: verdict, reasons and numbers.

        Where the model finds disc and fovea, one that is not in view is a reason.
        """
        known = self.network.anatomy_head is not None
        marks = {"disc": self.anatomy.disc, "fovea": self.anatomy.fovea} if known else {}
        return assess_quality(
            self.geometry.framed(QUALITY_DIAMETER),
            doubt=self._unlike,
            unseen=[name for name, mark in marks.items() if mark is None],
        )

    @property
    def _pixel_spacing(self) -> float | None:
        """Millimetres of the retina that a pixel covers, where the file says so."""
        return None if self.acquisition is None else self.acquisition.mean_spacing

    def probabilities(self, prompts: Sequence[Prompt]) -> NDArray[np.float32]:
        """Return the probability of L prompts in original pixels, `(L, H, W)` in [0, 1].

        Unlike `segment_many` it takes a lesion as often as one likes, such as with different
        descriptions.
        """
        known = [as_prompt(prompt, self.config.lesions, self._matcher) for prompt in prompts]
        return self.geometry.restore(self._ask(known)[0])

    def prior_map(self, text: str | Sequence[str]) -> NDArray[np.float32]:
        """Return the explicit prior of any text; everything as for `TPDRSeg.prior_map`."""
        texts = check_texts(text)
        with torch.inference_mode():
            (restored,) = self.geometry.restore(self._working_priors([texts], [None])[0])
        return restored  # type: ignore[no-any-return]

    @property
    def _matcher(self) -> Matcher | None:
        return matcher(self.network.explicit_prior, self.config.lesions)

    def _ask(self, prompts: Sequence[Prompt]) -> tuple[Tensor, Tensor]:
        """Return probability `(L, h, w)` and prior `(1, L, h, w)` in the padded working frame."""
        placed = [PlacedPoints.place(prompt, self.geometry.frame) for prompt in prompts]
        catalog = self.config.lesions
        asked = [TextPrompt(catalog.index(p.lesion), prompt_texts(p, self.config)) for p in prompts]
        self.prepare()
        with torch.inference_mode():
            priors = self._working_priors([a.texts for a in asked], [p.lesion for p in prompts])
            return self._probability(asked, priors, placed), priors

    def _working_priors(
        self, texts: Sequence[Sequence[str]], named: Sequence[str | None]
    ) -> Tensor:
        priors = self._clip.priors(self.network.explicit_prior, texts, named)
        diameter = self.config.inference.working_diameter
        return working_priors(priors, diameter, self.geometry.padded_size)

    def _probability(
        self,
        prompts: Sequence[TextPrompt],
        priors: Tensor,
        placed: Sequence[PlacedPoints | None],
    ) -> Tensor:
        """Return the mean over the photograph and, in the accurate mode, its mirror images."""
        cells = prior_cells(priors)
        answers = (
            mirror.values(self._probability_of(mirror, prompts, mirror.values(cells), placed))
            for mirror in self._tile_logits
        )
        total = next(answers)
        for answer in answers:
            total += answer
        return total.div_(len(self._tile_logits))

    def _probability_of(
        self,
        mirror: Mirror,
        prompts: Sequence[TextPrompt],
        cells: Tensor,
        placed: Sequence[PlacedPoints | None],
    ) -> Tensor:
        """Blend the tiles' logits and scale them up, then take the sigmoid."""
        ask, image = self._tile_logits[mirror], mirror.values(self._working_image)
        tiles, size = ask.tiles, self.geometry.padded_size
        places = [None if own is None else mirror.points(own, size) for own in placed]
        logits = []
        for number, corner in enumerate(tiles.corners):
            if self.watch is not None:
                done = MIRRORS.index(mirror) * len(tiles.corners)
                self.watch(done + number, len(self._tile_logits) * len(tiles.corners))
            points = [None if own is None else own.in_tile(corner, tiles.shape) for own in places]
            on_device = [None if own is None else own.to(self.network.device) for own in points]
            logits.append(ask(number, image, prompts, cells, on_device))
            if not self.keep:
                ask.clear()
        grown = F.interpolate(tiles.blend(logits)[None], size, mode="bilinear", align_corners=False)
        return grown[0].sigmoid_()

    @cached_property
    def _working_image(self) -> Tensor:
        return self.geometry.padded().to(self.network.device)

    @cached_property
    def _clip(self) -> CLIPFeatures:
        geometry = self.geometry
        return clip_features(
            self.network.explicit_prior, geometry.clip_pixels, geometry.clip_inside
        )

    @cached_property
    def _tile_logits(self) -> Mapping[Mirror, TileLogits]:
        mirrors = MIRRORS if self.config.inference.accurate else (AS_IT_IS,)
        limit = KEPT_BYTES // len(mirrors)
        tiles = self.geometry.tiles
        return {own: TileLogits(self.network, own.tiles(tiles), limit) for own in mirrors}


def encode_together(sessions: Sequence[ImageSession], tiles_at_once: int) -> None:
    """Run the tiles of several photographs of one network through its encoder in batches.

    A graphics card has room for more than one tile; a processor is kept busy by one.

    Args:
        sessions: Photographs opened with the same network, which keep what they are given.
        tiles_at_once: Tiles in a batch.
    """
    jobs: dict[tuple[int, int], list[tuple[ImageSession, int]]] = {}
    for session in sessions:
        tiles = session.geometry.tiles
        same_shape = jobs.setdefault(tiles.shape, [])
        same_shape += [(session, number) for number in range(len(tiles.corners))]
    with torch.inference_mode():
        for batch in (
            same_shape[start : start + tiles_at_once]
            for same_shape in jobs.values()
            for start in range(0, len(same_shape), tiles_at_once)
        ):
            cut = [s.geometry.tiles.cut(s._working_image, number) for s, number in batch]
            features = batch[0][0].network.encode_image(torch.cat(cut)).split()
            for (session, number), own in zip(batch, features, strict=True):
                session._tile_logits[AS_IT_IS].keep_image_features(number, own)
