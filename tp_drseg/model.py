"""TPDRSeg: loads, saves and asks a network."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from tp_drseg._runtime.device import pick_device, pick_dtype
from tp_drseg.checkpoints import backbones, hub, store
from tp_drseg.checkpoints.card import model_card
from tp_drseg.config import TPDRSegConfig
from tp_drseg.errors import FundusWarning, PromptError
from tp_drseg.images import MAX_PIXELS, ImageSource
from tp_drseg.inference.batch import open_in_turn
from tp_drseg.inference.request import Asked, Matcher, as_prompts
from tp_drseg.inference.result import Origin, Segmentation
from tp_drseg.inference.results import Segmentations
from tp_drseg.inference.session import ImageSession
from tp_drseg.inference.words import matcher
from tp_drseg.lesions import LesionCatalog
from tp_drseg.lesions.match import Match
from tp_drseg.modules.network import TPDRSegNetwork

_PHOTOGRAPHS_AT_ONCE: Final = 4  # on a graphics card
_TILES_AT_ONCE: Final = 8  # on a graphics card


class TPDRSeg:
    """A model that segments diabetic retinopathy lesions from a text prompt.

    Use `from_pretrained` for a trained model, `from_backbones` to start training, and `build`
    for random weights. Several threads may ask one model at once.

    Args:
        network: The network, in evaluation mode to be asked.
        config: Its configuration.
        model_id: Where the weights came from; empty for a model that was only built.
        revision: Their revision on the Hub, if they came from there.

    Attributes:
        network: The `torch.nn.Module`: tensors in, tensors out.
        config: Architecture, inference settings, lesions and provenance.

    Example:
        >>> from tp_drseg import TPDRSeg
        >>> model = TPDRSeg.from_pretrained()
        >>> result = model.segment("examples/retina_with_lesions.jpg", lesion="hard exudate")
        >>> result.lesion, result.mask.dtype.name
        ('hard exudate', 'bool')
    """

    def __init__(
        self,
        network: TPDRSegNetwork,
        config: TPDRSegConfig,
        *,
        model_id: str = "",
        revision: str | None = None,
    ) -> None:
        self.network, self.config = network, config
        self.model_id, self.revision = model_id, revision

    def __repr__(self) -> str:
        return (
            f"TPDRSeg({self.model_id or 'random weights'!r}, "
            f"{self.config.architecture.image_encoder.kind}, lesions {self.catalog.names}, "
            f"{self.device}, {_name(self.dtype)})"
        )

    @property
    def catalog(self) -> LesionCatalog:
        """The lesions that this model knows, in the order of its class groups."""
        return self.config.lesions

    @property
    def device(self) -> torch.device:
        """Device that the weights are on."""
        return self.network.device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights."""
        return self.network.dtype

    @property
    def origin(self) -> Origin:
        """What results say of the model that made them."""
        return Origin(self.model_id, self.revision, str(self.device), _name(self.dtype))

    def fingerprint(self) -> str:
        """Return a hash of configuration and weights, which tells this model from any other."""
        tensors = store.tensors_hash(self.network.state_dict())
        return hashlib.sha256(f"{self.config.to_json()}\n{tensors}".encode()).hexdigest()

    @classmethod
    def build(cls, config: TPDRSegConfig) -> TPDRSeg:
        """Build a model with random weights; nothing is downloaded."""
        return cls(TPDRSegNetwork(config.architecture, len(config.lesions)).eval(), config)

    @classmethod
    def from_backbones(
        cls,
        *,
        sam: str | Path,
        clip: str | Path,
        config: TPDRSegConfig | None = None,
        changes: Mapping[str, Any] | None = None,
    ) -> TPDRSeg:
        """Build a model that is ready to be trained, from a pretrained SAM and CLIP.

        Args:
            sam: An official SAM checkpoint (`sam_vit_b_01ec64.pth`, `mobile_sam.pt`, ...).
            clip: A folder written by `tp_drseg.training.clip.save_clip`; or `NAME/TAG` in
                open_clip's terms (`ViT-B-16-quickgelu/openai`); or `NAME:FILE` with a local file
                (`ViT-B-16-quickgelu:open_clip_model.safetensors`); or a Hub id
                (`hf-hub:org/name`).
            config: The configuration; by default that of the size that `sam` has.
            changes: What is to differ in it, as `TPDRSegConfig.replace` takes it.

        Raises:
            CheckpointError: A file is missing or does not fit.
            ConfigError: A change is unknown or impossible.
        """
        weights = backbones.read_sam(Path(sam))
        architecture, clip_weights = backbones.read_clip(str(clip))
        if config is None:
            config = TPDRSegConfig.for_size(backbones.sam_size(weights))
        config = config.replace(architecture={"clip": {"architecture": architecture}})
        model = cls.build(config.replace(**(changes or {})))
        backbones.load_sam(model.network, weights)
        backbones.load_clip(model.network, clip_weights, str(clip))
        return model

    @classmethod
    def from_pretrained(
        cls,
        model_id: str | Path | None = None,
        *,
        revision: str | None = None,
        token: str | bool | None = None,
        local_files_only: bool = False,
        cache_dir: str | Path | None = None,
        device: str | torch.device = "auto",
        dtype: str | torch.dtype = "float32",
    ) -> TPDRSeg:
        """Load a trained model.

        Args:
            model_id: None for the checkpoint that ships inside this package (no network); a
                folder; or a repository on the Hugging Face Hub, `org/name`.
            revision: Branch, tag or commit on the Hub.
            token: Hub token; by default the one that `hf auth login` stored.
            local_files_only: Take the Hub's files from the local cache alone.
            cache_dir: Where the Hub's files are kept.
            device: `auto` (CUDA, then Apple's MPS, then the CPU) or a torch device.
            dtype: What to compute in. `float32`, the default, gives the same answer on every
                machine up to rounding and can be saved again. `auto` takes bf16 where the
                hardware multiplies it natively, which is faster; `bfloat16`, and `float16` on
                CUDA alone, are taken as asked.

        On one machine and setting the same question gets the same answer, bit for bit. On CUDA,
        whether float32 is computed in TF32 is left to PyTorch's own settings, see
        `torch.set_float32_matmul_precision` and `torch.backends.cudnn.allow_tf32`.

        Raises:
            CheckpointError: Files are missing, truncated, altered or do not fit; nothing is
                loaded in part.
            ConfigError: The config is not valid or of an unknown version, or the device or type
                cannot be used here.
        """
        place = pick_device(device)
        kind = pick_dtype(dtype, place)
        files = hub.locate(
            model_id,
            revision=revision,
            token=token,
            local_files_only=local_files_only,
            cache_dir=cache_dir,
        )
        config = store.read_config(files.config)
        with store.without_values():
            network = TPDRSegNetwork(config.architecture, len(config.lesions))
        store.load_weights(network, files.weights, config)
        model = cls(network.eval(), config, model_id=files.model_id, revision=files.revision)
        return model.to(place, kind)

    def to(
        self, device: str | torch.device | None = None, dtype: torch.dtype | None = None
    ) -> TPDRSeg:
        """Move the weights to a device, turn them into a type, and return this model."""
        self.network.to(device=device, dtype=dtype)
        return self

    def compile(self) -> None:
        """Let `torch.compile` make fast code; see `InjectedImageEncoder.compile`.

        The first use then takes a minute or more. Whether later ones take less time than without
        depends on the machine: measure it. Answers differ by rounding alone. It needs a C++
        compiler, or, for a graphics card, Triton.
        """
        self.network.compile()

    def segment(
        self,
        image: ImageSource,
        lesion: Asked,
        *,
        accurate: bool | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> Segmentation:
        """Segment one lesion in a photograph.

        Args:
            image: A path, PIL image, array `(H, W, 3)`, tensor `(3, H, W)`, bytes or open file;
                see `tp_drseg.images.read_image`.
            lesion: Name, abbreviation or alias of a lesion; or how it looks, in plain English:
                the lesion that this fits best is asked for in these words, and the result's
                `match` says how well it fits; or a `Prompt`, which can also point and set a
                threshold.
            accurate: Whether to ask about the photograph's mirror images too and take the mean of
                the answers, which takes up to four times as long; None for what
                `config.inference.accurate` says.
            max_pixels: Refuse a photograph of more pixels than this, before memory is taken for
                it; see `tp_drseg.images.read_image`.

        Raises:
            ImageError: The image cannot be read or holds no field of view.
            LesionError: The model does not know the lesion, nor does the text describe one; the
                message lists what it knows.
            PromptError: The prompt cannot be used with this image.

        Warns:
            FundusWarning: The image does not look like a colour fundus photograph.
        """
        return self._segment(image, [lesion], accurate, max_pixels)[0]

    def segment_many(
        self,
        image: ImageSource,
        lesions: Iterable[Asked] | None = None,
        *,
        accurate: bool | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> Segmentations:
        """Segment several lesions in a photograph; the work on the image is shared.

        Args:
            image: See `segment`.
            lesions: Names and prompts, each lesion once; None for every lesion that the model
                knows.
            accurate: See `segment`.
            max_pixels: See `segment`.

        Raises:
            ImageError, LesionError, PromptError: See `segment`.

        Warns:
            FundusWarning: See `segment`.
        """
        return self._segment(image, lesions, accurate, max_pixels)

    def segment_batch(
        self,
        images: Iterable[ImageSource],
        lesions: Iterable[Asked] | None = None,
        *,
        batch_size: int | None = None,
        accurate: bool | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> Iterator[Segmentations]:
        """Segment many photographs, in order; the next ones are read meanwhile.

        Args:
            images: The photographs, a list or a generator; it is read as far as needed.
            lesions: See `segment_many`.
            batch_size: Photographs that go through the encoder together; by default 4 on a
                graphics card and 1 elsewhere. At most two batches are in memory.
            accurate: See `segment`.
            max_pixels: See `segment`.

        Raises:
            ImageError: A photograph cannot be read, in its turn; those before it have been given.
            LesionError, PromptError: See `segment`.

        Warns:
            FundusWarning: See `segment`.

        Example:
            >>> from tp_drseg import TPDRSeg
            >>> model = TPDRSeg.from_pretrained()
            >>> photographs = ["examples/retina.jpg", "examples/retina_with_lesions.jpg"]
            >>> healthy, drawn = model.segment_batch(photographs, ["EX"])
            >>> healthy["EX"].area_px < drawn["EX"].area_px
            True
        """
        prompts = as_prompts(
            lesions, self.catalog, self.matcher
        )  # before the first photograph is read
        on_card = self.device.type == "cuda"
        sessions = open_in_turn(
            lambda image: self._open(image, max_pixels, accurate, keep=on_card),
            images,
            batch_size=batch_size or (_PHOTOGRAPHS_AT_ONCE if on_card else 1),
            tiles_at_once=_TILES_AT_ONCE if on_card else 1,
        )

        def answers() -> Iterator[Segmentations]:
            for session in sessions:
                _warn(session, stacklevel=3)
                yield session.segment_many(prompts)

        return answers()

    def load_image(
        self, image: ImageSource, *, accurate: bool | None = None, max_pixels: int = MAX_PIXELS
    ) -> ImageSession:
        """Open a photograph to ask it more than once.

        `with model.load_image("eye.jpg") as session: session.segment("EX")`. What has been
        computed is kept until the session is closed: a second lesion, another description or a
        click then costs only its own part.

        Args:
            image: See `segment`.
            accurate: See `segment`.
            max_pixels: See `segment`.

        Raises:
            ImageError: The image cannot be read or holds no field of view.

        Warns:
            FundusWarning: See `segment`.
        """
        session = self._open(image, max_pixels, accurate, keep=True)
        _warn(session, stacklevel=3)
        return session

    def prior_map(
        self, image: ImageSource, text: str | Sequence[str], *, max_pixels: int = MAX_PIXELS
    ) -> NDArray[np.float32]:
        """Return the explicit prior of any text, `(H, W)` float32 in [0, 1], in original pixels.

        Several texts are taken as descriptions of one thing. The prior is relative to the image:
        the patch that fits best has the value 1 (before it is scaled up), whether or not what
        the text describes is there.

        Args:
            image: See `segment`.
            text: What to look for, in any words.
            max_pixels: See `segment`.

        Raises:
            ImageError: The image cannot be read or holds no field of view.
            PromptError: The text is empty.

        Warns:
            FundusWarning: See `segment`.
        """
        with self._open(image, max_pixels, keep=False) as session:
            _warn(session, stacklevel=3)
            return session.prior_map(text)

    def match(self, text: str) -> Match:
        """Say which lesion a description in plain English fits, and how well.

        Args:
            text: A description, such as "bright yellow spots with sharp edges".

        Raises:
            PromptError: The text is empty or too long, or the model's text tower cannot tell what
                a text means: open_clip's cannot.

        Example:
            >>> from tp_drseg import TPDRSeg
            >>> match = TPDRSeg.from_pretrained().match("bright yellow spots with sharp edges")
            >>> match.lesion, match.verdict
            ('hard exudate', 'lesion')
        """
        if self.matcher is None:
            raise PromptError("This model's CLIP compares texts with images alone, not with names.")
        return self.matcher(text)

    def open_quietly(self, image: ImageSource, *, max_pixels: int = MAX_PIXELS) -> ImageSession:
        """Open a photograph to be asked once, without a warning: `session.doubt` says it.

        For runs over many photographs, which open the next one in a thread.
        """
        return self._open(image, max_pixels, keep=False)

    def save_pretrained(self, folder: str | Path) -> Path:
        """Write `config.json`, `model.safetensors` and a fresh model card `README.md`.

        The folder changes in one step. The weights have `config.storage_dtype`.

        Raises:
            CheckpointError: The model computes in another half precision, which has rounded its
                weights (load it in float32 to save it), or a weight is not finite.
            OutputError: The folder cannot be written.
        """
        return store.save(Path(folder), self.config, self.network, card=model_card)

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool = True,
        token: str | bool | None = None,
        revision: str | None = None,
        commit_message: str = "Upload a TP-DRSeg model",
    ) -> str:
        """Upload what `save_pretrained` writes to the Hub and return the commit's address.

        The repository is made when it does not exist, private unless said otherwise.

        Raises:
            CheckpointError: The Hub refuses, or the model cannot be saved.
        """
        return hub.push(
            self.save_pretrained,
            repo_id,
            private=private,
            token=token,
            revision=revision,
            commit_message=commit_message,
        )

    @property
    def matcher(self) -> Matcher | None:
        """What finds the lesion that a description fits; None where CLIP cannot tell."""
        return matcher(self.network.explicit_prior, self.config.lesions)

    def _segment(
        self,
        image: ImageSource,
        lesions: Iterable[Asked] | None,
        accurate: bool | None,
        max_pixels: int,
    ) -> Segmentations:
        prompts = as_prompts(lesions, self.catalog, self.matcher)  # before the photograph is read
        with self._open(image, max_pixels, accurate, keep=False) as session:
            _warn(session, stacklevel=4)
            return session.segment_many(prompts)

    def _open(
        self,
        image: ImageSource,
        max_pixels: int,
        accurate: bool | None = None,
        *,
        keep: bool,
    ) -> ImageSession:
        config = self.config
        if accurate is not None:
            config = config.replace(inference={"accurate": accurate})
        return ImageSession(
            self.network, config, image, origin=self.origin, keep=keep, max_pixels=max_pixels
        )


def _warn(session: ImageSession, stacklevel: int) -> None:
    if session.doubt is not None:
        warnings.warn(f"{session.name}: {session.doubt}", FundusWarning, stacklevel=stacklevel)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
