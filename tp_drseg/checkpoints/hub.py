"""Where a checkpoint is: inside the package, in a folder, or on the Hub."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.constants import HF_HUB_OFFLINE
from huggingface_hub.errors import (
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from tp_drseg.checkpoints.store import CONFIG_NAME, WEIGHTS_NAME, interrupted_save
from tp_drseg.errors import CheckpointError

EMBEDDED = "tp-drseg-tiny"
"""The id of the checkpoint that ships inside this package."""


@dataclass(frozen=True)
class CheckpointFiles:
    """Where one checkpoint's files are on this machine.

    Attributes:
        config: `config.json`.
        weights: `model.safetensors`.
        model_id: What to call the checkpoint in results.
        revision: The Hub commit, None for a local checkpoint.
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
    """Find a checkpoint: embedded (None), in a folder, or on the Hub; see `from_pretrained`.

    Raises:
        CheckpointError: It is not there; the message says where it was looked for.
    """
    on_hub = isinstance(model_id, str) and not Path(model_id).is_dir()
    if revision is not None and not on_hub:
        raise CheckpointError(
            "A revision is one of a model on the Hub, and this model is local. Leave it out."
        )
    if model_id is None:
        return _in_folder(embedded_folder(), EMBEDDED)
    if isinstance(model_id, Path) or Path(model_id).is_dir():
        return _in_folder(Path(model_id), str(model_id))
    if not _is_hub_id(model_id):
        raise CheckpointError(
            f"There is no folder {model_id!r}, and it is not a Hub id of the form org/name. "
            f"Check the path."
        )
    return _on_hub(model_id, revision, token, local_files_only, cache_dir)


def embedded_folder() -> Path:
    """Return the folder of the checkpoint that ships inside this package."""
    return Path(str(resources.files("tp_drseg") / "weights"))


def _is_hub_id(name: str) -> bool:
    """Tell an id from a mistyped path: one slash, and no part that only paths have."""
    return bool(re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", name))


def _in_folder(folder: Path, model_id: str) -> CheckpointFiles:
    for name in (CONFIG_NAME, WEIGHTS_NAME):
        if not (folder / name).is_file():
            hint = interrupted_save(folder)
            raise CheckpointError(
                f"{folder} is not a TP-DRSeg checkpoint: it has no {name}. A checkpoint is a "
                f"folder with {CONFIG_NAME} and {WEIGHTS_NAME}, as save_pretrained writes it."
                f"{hint}"
            )
    return CheckpointFiles(folder / CONFIG_NAME, folder / WEIGHTS_NAME, model_id, None)


def _on_hub(
    repo_id: str,
    revision: str | None,
    token: str | bool | None,
    local_files_only: bool,
    cache_dir: str | Path | None,
) -> CheckpointFiles:
    try:
        snapshot = snapshot_download(
            repo_id,
            revision=revision,
            allow_patterns=[CONFIG_NAME, WEIGHTS_NAME],
            token=token,
            local_files_only=local_files_only,
            cache_dir=cache_dir,
        )
    except Exception as error:  # its own, and those of whichever HTTP library it uses
        why = _explained(error, repo_id, revision, local_files_only)
        raise CheckpointError(why) from error
    folder = Path(snapshot)
    for name in (CONFIG_NAME, WEIGHTS_NAME):
        if not (folder / name).is_file():
            raise CheckpointError(
                f"{repo_id} is not a TP-DRSeg checkpoint: it lacks {name}. A checkpoint has "
                f"{CONFIG_NAME} and {WEIGHTS_NAME}."
            )
    # the cache keeps each commit in a folder of its own: .../snapshots/<commit>
    return CheckpointFiles(folder / CONFIG_NAME, folder / WEIGHTS_NAME, repo_id, folder.name)


def _explained(error: Exception, repo_id: str, revision: str | None, local_files_only: bool) -> str:
    """Say what an error of the Hub's client means, and what to do."""
    causes = (error, error.__cause__)  # the client wraps some of its own
    if any(isinstance(cause, RevisionNotFoundError) for cause in causes):
        return f"{repo_id} has no revision {revision!r} on the Hub."
    if any(isinstance(cause, RepositoryNotFoundError) for cause in causes):
        return (
            f"There is no local folder {repo_id!r}, and no repository of that name on the Hub, "
            f"or it is private and needs a token (token=..., or `hf auth login`): {error}"
        )
    if not isinstance(error, LocalEntryNotFoundError):
        return f"{repo_id} could not be fetched from the Hub: {error}"
    if local_files_only:
        why = "local_files_only=True forbids to fetch it"
    elif HF_HUB_OFFLINE:
        why = "HF_HUB_OFFLINE forbids to fetch it"
    else:
        why = "the Hub cannot be reached"
    return (
        f"There is no local folder {repo_id!r}, the Hub's model of that name is not in the local "
        f"cache, and {why}. Check the path, or load the model once with network."
    )


def push(
    save: Callable[[Path], Path],
    repo_id: str,
    *,
    private: bool,
    token: str | bool | None,
    revision: str | None,
    commit_message: str,
) -> str:
    """Upload a checkpoint and return the commit's address; see `TPDRSeg.push_to_hub`.

    Args:
        save: Writes the checkpoint into a folder.
        repo_id: The repository, `org/name`.
        private: Whether a repository that is made is private.
        token: Hub token; by default the stored one.
        revision: Branch to commit to, made if needed.
        commit_message: What the commit says.

    Raises:
        CheckpointError: The Hub refuses.
    """
    api = HfApi(token=token)
    with tempfile.TemporaryDirectory() as parent:
        folder = save(Path(parent) / "model")
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
