"""A plain training loop: the plain reference, one crop and one lesion after the other."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.harness.setting import Setting, load_ours
from benchmarks.reference.network import PlainTPDRSeg
from benchmarks.speed.ways import load_plain
from tp_drseg.data import Sample
from tp_drseg.inference.prior import CLIPFeatures
from tp_drseg.model import TPDRSeg
from tp_drseg.training.config import TrainingConfig
from tp_drseg.training.data.annotated import AnnotatedImage, FrameSizes, load_annotated
from tp_drseg.training.data.batch import Batch
from tp_drseg.training.data.crops import Crops
from tp_drseg.training.engine.losses import segmentation_loss
from tp_drseg.training.engine.parameter_groups import parameter_groups
from tp_drseg.training.engine.schedule import warm_cosine


def train_plainly(
    setting: Setting, config: TrainingConfig, samples: Sequence[Sample], sizes: FrameSizes
) -> dict[str, Any]:
    """Train on one crop and one lesion after the other, everything anew for each step.

    The photograph and its masks are read and CLIP is run for every crop; the whole encoder keeps
    a graph, as it does when nothing is said about which parts learn.
    """
    plain, parent = load_plain(setting), load_ours(replace(setting, dtype="float32"))
    names = parent.catalog.names
    photographs = [load_annotated(sample, names, sizes) for sample in samples]
    crops = Crops(parent, photographs, config)  # chooses and cuts; what it keeps is taken from it
    crops.images = Anew(len(samples), lambda i: load_annotated(samples[i], names, sizes))
    crops.features = Anew(len(samples), lambda i: _clip_features(plain, crops.images[i]))
    crops.texts = Anew(len(names), lambda i: _text_features(plain, parent, names[i]))
    learning = parameter_groups(parent.network, config.lr_factors)
    del photographs
    own = dict(plain.named_parameters())
    for name, parameter in own.items():
        # timm keeps what it makes of these, with its graph, from one step to the next
        parameter.requires_grad_("explicit_prior" not in name and "attention_biases" not in name)
    groups = [{"params": [own[n] for n in part], "factor": f} for f, part in learning.items()]
    learned = [parameter for group in groups for parameter in group["params"]]  # type: ignore[attr-defined]
    optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, weight_decay=config.weight_decay)
    losses, stamps = [], []
    for step in range(config.total_steps(len(samples))):
        stamps.append(time.perf_counter())
        plain.zero_grad(set_to_none=True)
        loss = 0.0
        for place in range(config.batch_size):
            for part in _losses(plain, crops[step * config.batch_size + place], config):
                (part / config.batch_size).backward()  # type: ignore[no-untyped-call]
                loss += float(part) / config.batch_size
        for group in optimizer.param_groups:
            rate = warm_cosine(step, config.total_steps(len(samples)), config.warmup)
            group["lr"] = config.learning_rate * group["factor"] * rate
        torch.nn.utils.clip_grad_norm_(learned, config.clip_norm)
        optimizer.step()
        losses.append(loss)
    pace = [after - before for before, after in itertools.pairwise(stamps[1:])]
    return {"seconds": statistics.median(pace), "losses": losses}


def _losses(plain: PlainTPDRSeg, batch: Batch, config: TrainingConfig) -> Iterator[Tensor]:
    """The share of each lesion in the loss of one crop, made when it is asked for."""
    device = plain.prompt_generator.class_bias.device
    weights = {
        plain.config.lesions.index(name): weight for name, weight in config.bce_weights.items()
    }
    count = batch.classes.shape[1]
    for place, lesion in enumerate(batch.classes[0].tolist()):
        one = slice(place, place + 1)
        logits = plain.logits(batch.images.to(device), batch.priors[:, one].to(device), lesion)
        target = batch.targets[:, one].to(device)
        scored = None if batch.scored is None else batch.scored[:, one].to(device)
        weight = weights.get(lesion, config.bce_weight)
        if not target.any():
            weight *= config.absent_weight
        yield segmentation_loss(logits, target, weight, scored) / count


class Anew(list[Any]):
    """A list whose items are made anew each time that they are asked for."""

    def __init__(self, length: int, make: Callable[[int], Any]) -> None:
        super().__init__([None] * length)
        self.make = make

    def __getitem__(self, index: Any) -> Any:
        return self.make(index)


@torch.no_grad()
def _clip_features(plain: PlainTPDRSeg, photograph: AnnotatedImage) -> CLIPFeatures:
    """CLIP's patches of a photograph, of unit length, and which of them are inside."""
    device = plain.prompt_generator.class_bias.device
    side = plain.config.architecture.clip.image_size
    height, width = photograph.clip_inside.shape
    picture = torch.zeros(1, 3, side, side)
    picture[..., :height, :width] = photograph.clip_pixels.permute(2, 0, 1) / 255
    features = F.normalize(plain.patches(picture.to(device))).cpu()
    inside = torch.zeros(1, 1, side, side)
    inside[..., :height, :width] = photograph.clip_inside
    return CLIPFeatures(features, F.adaptive_max_pool2d(inside, features.shape[-2:]) >= 0.5)


@torch.no_grad()
def _text_features(plain: PlainTPDRSeg, parent: TPDRSeg, lesion: str) -> Tensor:
    """A unit vector for each description of a lesion, `(n, D)`."""
    texts = parent.config.prompt_texts(lesion)
    return F.normalize(plain.text_features(texts, lesion)).cpu()
