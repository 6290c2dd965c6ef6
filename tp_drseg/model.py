"""TPDRSeg: composes the modules, and starts, loads and saves the whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from segment_anything.modeling import PromptEncoder
from torch import Tensor, nn

from tp_drseg._runtime import device as hardware
from tp_drseg._runtime.allocator import freed_memory_kept
from tp_drseg.checkpoints import store as checkpoint
from tp_drseg.config import TPDRSegConfig
from tp_drseg.lesions import Lesion, LesionCatalog
from tp_drseg.modules.clicks import Clicks, embed_clicks
from tp_drseg.modules.clip import build_clip
from tp_drseg.modules.exact import ExactParts, float32_or_longer, no_longer_than
from tp_drseg.modules.explicit_prior import ExplicitPriorEncoder
from tp_drseg.modules.image_encoder import (
    EMBEDDING_DIM,
    InjectedImageEncoder,
    SharedFeatures,
    build_backbone,
)
from tp_drseg.modules.mask_decoder import DetailHead, MaskDecoder
from tp_drseg.modules.prompt_generator import ClassPromptGenerator

if TYPE_CHECKING:
    import numpy as np

    from tp_drseg.images import ImageSource
    from tp_drseg.inference.result import Segmentation
    from tp_drseg.inference.view import FundusView

# SAM's statistics, RGB in [0, 255]
PIXEL_MEAN = (123.675, 116.28, 103.53)
PIXEL_STD = (58.395, 57.12, 57.375)


@dataclass(frozen=True)
class PromptedFeatures:
    """What SAM's decoder is given for each of N prompts.

    Attributes:
        embedding: `F_e`, `(N, 256, S / 16, S / 16)`.
        sparse: `E_s`, `(N, n, 256)`.
        dense: `E_d`, `(N, 256, S / 16, S / 16)`.
    """

    embedding: Tensor
    sparse: Tensor
    dense: Tensor

    def each(self) -> list[PromptedFeatures]:
        """The prompts one by one, N = 1."""
        return [
            PromptedFeatures(self.embedding[i, None], self.sparse[i, None], self.dense[i, None])
            for i in range(len(self.embedding))
        ]


class TPDRSeg(ExactParts):
    """Text-prompted segmentation of diabetic retinopathy lesions (TP-DRSeg, MICCAI 2024).

    A frozen CLIP turns the explicit description of a lesion into a prior map
    (`explicit_prior`); injectors feed it into SAM's frozen image encoder (`image_encoder`); a
    class-specific generator turns it into prompts (`prompt_generator`) for SAM's mask decoder
    (`mask_decoder`).

    The constructor builds the architecture with random weights and downloads nothing. Use
    `from_pretrained` for a trained model and `from_backbones` to start training.

    Turned into bf16 or float16 (`model.to(torch.bfloat16)`) it takes the same inputs and gives
    logits, probabilities and priors in float32 all the same. What would lose most by it stays in
    float32: constants, and TinyViT's blocks before the first injector (`exact_modules`).

    Args:
        config: everything that is needed to build the architecture.

    Attributes:
        model_id: where the weights came from; empty for a model that was only built.
        revision: the Hub revision of the weights, if they came from there.
    """

    pixel_mean: Tensor
    pixel_std: Tensor
    exact_buffers = (
        "pixel_mean",
        "pixel_std",
        "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix",
    )

    def __init__(self, config: TPDRSegConfig) -> None:
        super().__init__()
        self.config = config
        architecture = config.architecture
        self.model_id = ""
        self.revision: str | None = None
        self.explicit_prior = ExplicitPriorEncoder(
            build_clip(architecture.clip.architecture),
            architecture.clip.image_size,
            architecture.clip.features,
        )
        self.image_encoder = InjectedImageEncoder(
            build_backbone(architecture.image_encoder, architecture.image_size),
            architecture.injector_blocks,
            architecture.injector_stride,
            architecture.injector_prior,
            architecture.tuning,
        )
        self.prompt_generator = ClassPromptGenerator(
            len(config.lesions),
            EMBEDDING_DIM,
            architecture.grid,
            architecture.sparse_tokens,
            architecture.generator_prior,
        )
        self.prompt_encoder = PromptEncoder(
            embed_dim=EMBEDDING_DIM,
            image_embedding_size=(architecture.grid, architecture.grid),
            input_image_size=(architecture.image_size, architecture.image_size),
            mask_in_chans=16,
        ).requires_grad_(False)
        self.mask_decoder = MaskDecoder()
        self.mask_decoder.freeze_unused()
        dims = self.image_encoder.backbone.block_dims
        self.detail_head = (
            DetailHead([dims[i] for i in self.image_encoder.backbone.detail_blocks])
            if architecture.detail
            else None
        )
        self.register_buffer("pixel_mean", torch.tensor(PIXEL_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("pixel_std", torch.tensor(PIXEL_STD).view(3, 1, 1), persistent=False)
        # the layout that convolutions are fastest on, on processors and cards
        self.to(memory_format=torch.channels_last)

    @property
    def catalog(self) -> LesionCatalog:
        """The lesions that this model knows, in the order of its class groups."""
        return self.config.lesions

    @property
    def device(self) -> torch.device:
        """The device that the weights are on."""
        return self.pixel_mean.device

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights."""
        return self.mask_decoder.iou_token.weight.dtype  # type: ignore[no-any-return]

    def trained_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Name and value of what learns: tuning, prompt generator, mask decoder, detail head."""
        return ((name, p) for name, p in self.named_parameters() if p.requires_grad)

    def prompt_texts(self, lesion: Lesion) -> tuple[str, ...]:
        """The texts that stand for a lesion: its descriptions, or its name by `text`."""
        return lesion.texts if self.config.inference.text == "description" else (lesion.name,)

    def shared(self, images: Tensor) -> SharedFeatures:
        """What no prior touches: the first blocks of the encoder, and the fine features.

        Args:
            images: `(B, 3, S, S)` RGB in [0, 255], S = `config.architecture.image_size`.
        """
        normalised = (images - self.pixel_mean) / self.pixel_std
        features = self.image_encoder.shared(normalised)
        if self.detail_head is None:
            return SharedFeatures(features.feature)
        normalised, *detail = (
            no_longer_than(x, self.dtype) for x in (normalised, *features.detail)
        )
        fine = self.detail_head.features(normalised, detail)
        return SharedFeatures(features.feature, (fine,))

    def prompt(self, features: SharedFeatures, priors: Tensor, classes: Tensor) -> PromptedFeatures:
        """What the text of L lesions makes of each of B images; clicks come after it.

        Args:
            features: what `shared` gave for the B images.
            priors: explicit priors `P_e`, `(B, L, h, w)` in [0, 1].
            classes: `(L,)` or `(B, L)` int64, the place of each lesion in the catalog.
        """
        batch, count = priors.shape[:2]
        prior = priors.flatten(0, 1)[:, None]
        embedding = self.image_encoder.inject(
            features.feature.repeat_interleave(count, dim=0), prior
        )
        sparse, dense = self.prompt_generator(
            embedding, prior, classes.expand(batch, count).flatten()
        )
        return PromptedFeatures(embedding, sparse, dense)

    def predict(
        self, features: SharedFeatures, prompted: PromptedFeatures, clicks: Clicks | None = None
    ) -> Tensor:
        """Mask logits of N = B * L prompts.

        Args:
            features: what `shared` gave for the B images.
            prompted: what `prompt` gave, lesions of one image in a row.
            clicks: points and boxes for each of the N prompts.

        Returns:
            `(N, S / 2, S / 2)` with a detail head, else `(N, S / 4, S / 4)`; float32.
        """
        embedding, sparse = prompted.embedding, prompted.sparse
        if clicks is not None:
            sparse = torch.cat([sparse, embed_clicks(self.prompt_encoder, clicks)], dim=1)
        position = self.prompt_encoder.get_dense_pe().to(embedding.dtype)
        logits, mask_token = self.mask_decoder(embedding, position, sparse, prompted.dense)
        if self.detail_head is not None:
            fine = self.detail_head(features.detail[0], mask_token)
            logits = fine + F.interpolate(logits, fine.shape[-2:], mode="bilinear")
        return float32_or_longer(logits[:, 0])

    def decode(
        self,
        features: SharedFeatures,
        priors: Tensor,
        classes: Tensor,
        clicks: Clicks | None = None,
    ) -> Tensor:
        """`predict` after `prompt`, see both: `(B, L, S / 2, S / 2)`, or of side S / 4."""
        logits = self.predict(features, self.prompt(features, priors, classes), clicks)
        return logits.reshape(*priors.shape[:2], *logits.shape[-2:])

    def forward(
        self, images: Tensor, priors: Tensor, classes: Tensor, clicks: Clicks | None = None
    ) -> Tensor:
        """`decode(shared(images), priors, classes, clicks)`; see both."""
        return self.decode(self.shared(images), priors, classes, clicks)

    def open(self, image: ImageSource, *, keep: bool = True, warn: bool = True) -> FundusView:
        """Opens a photograph to ask it more than once.

        `with model.open("photo.jpg") as view: view.segment("EX")`. What has been computed is
        kept until the view is closed: a second lesion, another description or a click then costs
        only its own part.

        Args:
            image: a path, a PIL image, or an array `(H, W, 3)`; see `tp_drseg.images.read_image`.
            keep: whether to keep features for the next question.
            warn: whether to issue a `FundusWarning` for what does not look like a fundus
                photograph; `view.doubt` says it too.

        Raises:
            ImageError: when the image cannot be read or holds no field of view.
        """
        from tp_drseg.inference.view import FundusView

        return FundusView(self, image, keep=keep, warn=warn)

    def compile(self) -> None:
        """Lets `torch.compile` make fast code; see `InjectedImageEncoder.compile`.

        The first use then takes a minute or more. Whether later ones take less time than without
        depends on the machine: measure it. Answers differ by rounding alone. It needs a C++
        compiler, or, for a graphics card, Triton.
        """
        self.image_encoder.compile()
        if self.detail_head is not None:
            features = torch.compile(self.detail_head.features, dynamic=False)
            self.detail_head.features = features  # type: ignore[method-assign]

    def working(self) -> AbstractContextManager[None]:
        """A block in which this model answers fastest, see `allocator.freed_memory_kept`.

        Every question opens one; one around several questions saves the time between them.
        """
        return freed_memory_kept() if self.device.type == "cpu" else nullcontext()

    def segment(
        self,
        image: ImageSource,
        lesion: str | Sequence[str] | None = None,
        *,
        description: str | Sequence[str] | None = None,
        threshold: float | None = None,
        points: Sequence[tuple[float, float, int]] | None = None,
        boxes: Sequence[tuple[float, float, float, float]] | None = None,
    ) -> Segmentation | dict[str, Segmentation]:
        """Segments lesions in a photograph.

        Args:
            image: a path, a PIL image, or an array `(H, W, 3)`; see `tp_drseg.images.read_image`.
            lesion: a lesion's name, abbreviation or alias; a list of them; or None for every
                lesion that the model knows.
            description: text, or texts, to use in place of the lesion's own descriptions, for
                one lesion only.
            threshold: probability from which on a pixel is lesion; by default the operating
                point stored with the model.
            points: `(x, y, label)` in original pixels, label 1 on the lesion and 0 beside it;
                for one lesion only.
            boxes: `(left, top, right, bottom)` in original pixels, for one lesion only.

        Returns:
            For one name its `Segmentation`; for a list or None a dict of them by catalog name.

        Raises:
            ImageError: when the image cannot be read or holds no field of view.
            LesionError: when the model does not know the lesion; the message lists what it knows.
            PromptError: when the description, points, boxes or threshold cannot be used.
        """
        from tp_drseg.inference.segment import Question, answer

        # before the photograph is read
        asked = Question.check(self, lesion, description, threshold, points, boxes)
        with self.working():
            return answer(self.open(image, keep=False), asked)

    def explain(self, image: ImageSource, text: str | Sequence[str]) -> np.ndarray:
        """The explicit prior of any text, `(H, W)` float32 in [0, 1], in original pixels.

        Several texts are taken as descriptions of one thing. The prior is relative to the image:
        the patch that fits best has the value 1 (before it is scaled up), whether or not what
        the text describes is there.

        Raises:
            ImageError: when the image cannot be read or holds no field of view.
            PromptError: when the text is empty.
        """
        with self.working():
            return self.open(image, keep=False).explain(text)

    @classmethod
    def from_backbones(
        cls,
        *,
        sam: str | Path,
        clip: str | Path,
        config: TPDRSegConfig | None = None,
        **changes: Any,
    ) -> TPDRSeg:
        """A model that is ready to be trained, from a pretrained SAM and a pretrained CLIP.

        Args:
            sam: an official SAM checkpoint (`sam_vit_b_01ec64.pth`, `mobile_sam.pt`, ...).
            clip: a folder written by `tp_drseg.training.clip.train.save_clip`; or `NAME/TAG` in
                open_clip's terms (`ViT-B-16-quickgelu/openai`); or `NAME:FILE` with a local file
                (`ViT-B-16-quickgelu:open_clip_model.safetensors`); or a Hub id (`hf-hub:org/name`).
            config: the configuration; by default that of the size that `sam` has.
            changes: fields of the configuration to change.

        Raises:
            CheckpointError: when a file is missing or does not fit.
            ConfigError: for an unknown field.
        """
        from tp_drseg.checkpoints.backbones import load_backbones

        return load_backbones(sam=sam, clip=clip, config=config, changes=changes)

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
        dtype: str | torch.dtype = "auto",
    ) -> TPDRSeg:
        """Loads a trained model.

        Args:
            model_id: None for the checkpoint that ships inside this package (no network); a
                folder; or a repository on the Hugging Face Hub, `org/name`.
            revision: branch, tag or commit on the Hub.
            token: Hub token; by default the one that `hf auth login` stored.
            local_files_only: take the Hub's files from the local cache alone.
            cache_dir: where the Hub's files are kept.
            device: `auto` (CUDA, then Apple's MPS, then the CPU) or a torch device.
            dtype: what to compute in: `float32`, `bfloat16`, `float16` (on CUDA alone), or
                `auto`, bf16 where the hardware multiplies it natively and else float32. The
                logger `tp_drseg._runtime.device` says at level INFO what was chosen and why.

        On one machine and setting the same question gets the same answer, bit for bit. On CUDA,
        whether float32 is computed in TF32 is left to PyTorch's own settings, see
        `torch.set_float32_matmul_precision` and `torch.backends.cudnn.allow_tf32`.

        Raises:
            CheckpointError: when files are missing, truncated or do not fit; nothing is loaded
                in part.
            ConfigError: when the config is not valid or of an unknown version, or the device or
                dtype cannot be used here.
        """
        place = hardware.pick_device(device)
        kind = hardware.pick_dtype(dtype, place)
        files = checkpoint.locate(
            model_id,
            revision=revision,
            token=token,
            local_files_only=local_files_only,
            cache_dir=cache_dir,
        )
        config = checkpoint.read_config(files.config)
        with checkpoint.without_values():
            model = cls(config)
        checkpoint.load_weights(model, files.weights)
        model.model_id, model.revision = files.model_id, files.revision
        return model.to(place, kind).eval()

    def save_pretrained(self, folder: str | Path) -> Path:
        """Writes `config.json`, `model.safetensors` and a fresh model card `README.md`.

        Each file appears whole or not at all. The weights have `config.storage_dtype`.

        Raises:
            CheckpointError: when the model computes in another half precision, which has rounded
                its weights; load it in float32 to save it.
            OutputError: when the folder cannot be written.
        """
        return checkpoint.save(self, Path(folder))

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool = True,
        token: str | bool | None = None,
        revision: str | None = None,
        commit_message: str = "Upload a TP-DRSeg model",
    ) -> str:
        """Uploads what `save_pretrained` writes to the Hub and returns the commit's address.

        The repository is made when it does not exist, private unless said otherwise.

        Raises:
            CheckpointError: when the Hub refuses.
        """
        return checkpoint.push(
            self,
            repo_id,
            private=private,
            token=token,
            revision=revision,
            commit_message=commit_message,
        )
