"""Fuzzing that is guided by coverage, with atheris, from a corpus that is made anew each time.

    pip install atheris                      # Linux, and Python up to 3.13
    python -m benchmarks.reliability.guided TARGET [--seconds N] [--work FOLDER]

with TARGET of images, masks, config, run, lesions and records. It ends with another code than 0,
and leaves the file in the folder, when something else than one of the package's errors is raised,
when a file takes more than ten seconds, or when memory passes one GiB.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

_SECONDS = 60
_SLOWEST = 10
_LIMIT_MB = 1024
_LARGEST = 1 << 18  # bytes that a made-up file has at most

Read = Callable[[Path], object]


def targets() -> dict[str, tuple[Read, Mapping[str, bytes]]]:
    """Return what can be fuzzed by name: a reader, and valid and odd files to begin with."""
    from benchmarks.reliability import corpus_of_texts, image_corpus
    from tp_drseg.checkpoints.store import read_config
    from tp_drseg.data.masks import MaskFile, read_ignored, read_mask
    from tp_drseg.images import read_fundus
    from tp_drseg.lesions.lesion_file import read_lesions
    from tp_drseg.training.run_config import read_run

    def masks(path: Path) -> None:
        read_mask(path, image_corpus.SIZE)
        rule = MaskFile(path, values=(255,), ignored=(3,), labels=(0, 3, 255))
        read_mask(rule, image_corpus.SIZE)
        read_ignored(rule, image_corpus.SIZE)

    return {
        "images": (read_fundus, image_corpus.photographs()),
        "masks": (masks, image_corpus.masks()),
        "config": (read_config, corpus_of_texts.configs()),
        "run": (read_run, corpus_of_texts.runs()),
        "lesions": (read_lesions, corpus_of_texts.lesions()),
        "records": (corpus_of_texts.read_record, corpus_of_texts.records()),
    }


def main() -> None:
    """Fuzz one target until the time is over or something is wrong."""
    names = ("images", "masks", "config", "run", "lesions", "records")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=names)
    parser.add_argument("--seconds", type=int, default=_SECONDS, help="how long")
    parser.add_argument("--work", type=Path, help="a folder for the corpus and what it finds")
    options = parser.parse_args()
    if find_spec("atheris") is None:
        parser.exit(2, "atheris is not installed. Install it with `pip install atheris`.\n")
    import atheris

    with atheris.instrument_imports(include=["tp_drseg", "PIL"]):
        import tp_drseg.data.masks
        import tp_drseg.images
        import tp_drseg.training.run_config  # noqa: F401
    from tp_drseg.errors import TPDRSegError

    work = options.work or Path(tempfile.mkdtemp(prefix="guided-"))
    corpus, path = work / "corpus", work / "file"
    corpus.mkdir(parents=True, exist_ok=True)
    read, files = targets()[options.target]
    for number, data in enumerate(files.values()):
        (corpus / f"{number:04d}").write_bytes(data[:_LARGEST])

    def one(data: bytes) -> None:
        path.write_bytes(data)
        with suppress(TPDRSegError):
            read(path)

    limits = [f"-max_total_time={options.seconds}", f"-timeout={_SLOWEST}"]
    limits += [f"-rss_limit_mb={_LIMIT_MB}", f"-max_len={_LARGEST}", f"-artifact_prefix={work}/"]
    atheris.Setup([sys.argv[0], *limits, str(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
