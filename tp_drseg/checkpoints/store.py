"""Checkpoints: where they are, strict loading, whole saving, and the Hub."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from tp_drseg._runtime.files import atomic_write, make_folder, write_text
from tp_drseg.checkpoints.card import model_card
from tp_drseg.config import TPDRSegConfig
from tp_drseg.errors import CheckpointError, ConfigError

if TYPE_CHECKING:
    from tp_drseg.model import TPDRSeg

CONFIG_NAME = "config.json"
WEIGHTS_NAME = "model.safetensors"
CARD_NAME = "README.md"
EMBEDDED = "tp-drseg-tiny"
"""The id of the checkpoint that ships inside this package."""


@dataclass(frozen=True)
class CheckpointFiles:
    """Where one checkpoint's files are on this machine.

    Attributes:
        config: `config.json`.
        weights: `model.safetensors`.
        model_id: what to call the checkpoint in results.
        revision: the Hub commit, None for a local checkpoint.
    """

    config: Path
    weights: Path
    model_id: str
    revision: str | None


def locate(
    model_id: str | Path | None,
    *,
    revision: str | None = None,
    token: str | bool | None = None,
    local_files_only: bool = False,
    cache_dir: str | Path | None = None,
) -> CheckpointFiles:
    """Finds a checkpoint: embedded (None), in a folder, or on the Hub; see `from_pretrained`.

    Raises:
        CheckpointError: when it is not there; says where it was looked for.
    """
    on_hub = isinstance(model_id, str) and not Path(model_id).is_dir()
    if revision is not None and not on_hub:
        raise CheckpointError("A revision is one of a model on the Hub, and this model is local.")
    if model_id is None:
        folder = Path(str(resources.files("tp_drseg") / "weights"))
        return _in_folder(folder, EMBEDDED)
    if isinstance(model_id, Path) or Path(model_id).is_dir():
        return _in_folder(Path(model_id), str(model_id))
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", model_id):
        raise CheckpointError(
            f"There is no folder {model_id!r}, and it is not a Hub id of the form org/name."
        )
    return _on_hub(model_id, revision, token, local_files_only, cache_dir)


def _in_folder(folder: Path, model_id: str) -> CheckpointFiles:
    for name in (CONFIG_NAME, WEIGHTS_NAME):
        if not (folder / name).is_file():
            raise CheckpointError(
                f"{folder} is not a TP-DRSeg checkpoint: it has no {name}. A checkpoint is a "
                f"folder with {CONFIG_NAME} and {WEIGHTS_NAME}, as save_pretrained writes it."
            )
    return CheckpointFiles(folder / CONFIG_NAME, folder / WEIGHTS_NAME, model_id, None)


def _on_hub(
    repo_id: str,
    revision: str | None,
    token: str | bool | None,
    local_files_only: bool,
    cache_dir: str | Path | None,
) -> CheckpointFiles:
    def download(name: str, revision: str | None) -> Path:
        path = hf_hub_download(
            repo_id,
            name,
            revision=revision,
            token=token,
            local_files_only=local_files_only,
            cache_dir=cache_dir,
        )
        return Path(path)

    try:
        config = download(CONFIG_NAME, revision)
        # the cache keeps each commit in a folder of its own: .../snapshots/<commit>/<file>
        commit = config.parent.name
        weights = download(WEIGHTS_NAME, commit)  # of that commit, whatever is pushed meanwhile
    except LocalEntryNotFoundError as error:
        raise CheckpointError(
            f"{repo_id} is not in the local cache, and "
            + (
                "local_files_only=True forbids to fetch it. Load it once with network."
                if local_files_only
                else "the Hub cannot be reached. Check the network, or give a local folder."
            )
        ) from error
    except RevisionNotFoundError as error:
        raise CheckpointError(f"{repo_id} has no revision {revision!r} on the Hub.") from error
    except EntryNotFoundError as error:
        raise CheckpointError(
            f"{repo_id} is not a TP-DRSeg checkpoint: it lacks {CONFIG_NAME} or {WEIGHTS_NAME}."
        ) from error
    except RepositoryNotFoundError as error:
        raise CheckpointError(
            f"There is no repository {repo_id} on the Hub, or it is private and needs a token "
            f"(token=..., or `hf auth login`)."
        ) from error
    except Exception as error:  # its own, and those of whichever HTTP library it uses
        raise CheckpointError(f"{repo_id} could not be fetched from the Hub: {error}") from error
    return CheckpointFiles(config, weights, repo_id, commit)


def read_config(path: Path) -> TPDRSegConfig:
    """Reads `config.json`.

    Raises:
        ConfigError: when it is not a valid configuration; names the file.
    """
    try:
        return TPDRSegConfig.from_json(path.read_text(encoding="utf-8"))
    except (ConfigError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error


@contextmanager
def without_values() -> Iterator[None]:
    """Builds modules on the CPU without first giving their parameters random values.

    Not on torch's meta device, where buffers that are in no checkpoint would be lost. The global
    random state stays as it is.
    """
    with torch.random.fork_rng(devices=[]), torch.device("cpu"), _Unfilled():
        yield


class _Unfilled(TorchFunctionMode):
    """Whatever would change a parameter in place does nothing."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        in_place = name.endswith("_") and not name.endswith("__") and name != "requires_grad_"
        # torch.nn.init passes it by name
        changed = args[0] if args else kwargs.get("tensor")
        if in_place and isinstance(changed, nn.Parameter):
            return changed
        return func(*args, **kwargs)


def load_weights(model: TPDRSeg, path: Path) -> None:
    """Replaces all tensors of a model by those of a file, strictly; types stay the model's.

    Raises:
        CheckpointError: for a truncated file, or a missing, unexpected or misshapen tensor.
    """
    try:
        weights = load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} is damaged or is not a safetensors file ({error}). Fetch it again."
        ) from error
    expected = model.state_dict()
    problems = [f"missing {name}" for name in expected.keys() - weights.keys()]
    problems += [f"unexpected {name}" for name in weights.keys() - expected.keys()]
    problems += [
        f"{name} is {tuple(weights[name].shape)}, not {tuple(expected[name].shape)}"
        for name in expected.keys() & weights.keys()
        if weights[name].shape != expected[name].shape
    ]
    if problems:
        shown = "; ".join(sorted(problems)[:8])
        raise CheckpointError(
            f"{path} does not fit its config.json in {len(problems)} tensors: {shown}. The two "
            f"files must come from the same checkpoint."
        )
    # out of the mapped file, which may be written anew while the model is in use
    own = {n: torch.empty_like(expected[n]).copy_(value) for n, value in weights.items()}
    model.load_state_dict(own, strict=True, assign=True)


def save(model: TPDRSeg, folder: Path) -> Path:
    """See `TPDRSeg.save_pretrained`."""
    dtype: torch.dtype = getattr(torch, model.config.storage_dtype)
    if model.dtype.itemsize < 4 and model.dtype != dtype:
        raise CheckpointError(
            f"This model computes in {_name(model.dtype)}, to which its weights were rounded, so "
            f"they cannot be saved as {_name(dtype)}. Load it with dtype='float32' to save it."
        )
    make_folder(folder)
    tensors = {name: _stored(value, dtype) for name, value in model.state_dict().items()}
    with atomic_write(folder / WEIGHTS_NAME) as file:
        file.write(to_bytes(tensors, metadata={"format": "pt"}))
    write_text(folder / CONFIG_NAME, model.config.to_json())
    write_text(folder / CARD_NAME, model_card(model))
    return folder


def push(
    model: TPDRSeg,
    repo_id: str,
    *,
    private: bool,
    token: str | bool | None,
    revision: str | None,
    commit_message: str,
) -> str:
    """See `TPDRSeg.push_to_hub`."""
    api = HfApi(token=token)
    with tempfile.TemporaryDirectory() as folder:
        save(model, Path(folder))
        try:
            repo = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
            if revision is not None:
                api.create_branch(repo, branch=revision, exist_ok=True)
            commit = api.upload_folder(
                repo_id=repo,
                folder_path=folder,
                commit_message=commit_message,
                revision=revision,
            )
        except Exception as error:  # its own, and those of whichever HTTP library it uses
            raise CheckpointError(f"The Hub did not take {repo_id}: {error}") from error
    return str(commit.commit_url)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _stored(value: Tensor, dtype: torch.dtype) -> Tensor:
    value = value.detach().to("cpu", dtype if value.is_floating_point() else value.dtype)
    return value.contiguous()
