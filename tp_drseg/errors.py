"""One small tree of exceptions.

Every error that this package raises on purpose derives from `TPDRSegError`, so that one
`except` catches them all. Each message says what is wrong, where, and what to do next.
"""


class TPDRSegError(Exception):
    """Base of every error raised on purpose by this package."""


class ImageError(TPDRSegError, ValueError):
    """An input image that cannot be read or used: missing, corrupt, empty, huge, wrong shape."""


class LesionError(TPDRSegError, KeyError):
    """A lesion name that the catalog does not know, or a catalog entry that is not valid."""

    def __str__(self) -> str:
        # KeyError would show the message quoted, as if it were a key.
        return str(self.args[0]) if self.args else ""


class PromptError(TPDRSegError, ValueError):
    """A prompt (description, point or box) that cannot be used with this image."""


class ConfigError(TPDRSegError, ValueError):
    """A configuration with an unknown, missing or impossible value."""


class CheckpointError(TPDRSegError, RuntimeError):
    """Weights that are missing, truncated, or do not fit the architecture of their config."""


class DataError(TPDRSegError, ValueError):
    """A data set whose folders, images or masks are not as they must be."""


class TrainingError(TPDRSegError, RuntimeError):
    """A training run that cannot start or cannot go on."""


class OutputError(TPDRSegError, OSError):
    """A result that could not be written."""


class NetworkError(TPDRSegError, OSError):
    """A port that cannot be listened to, or a peer that cannot be reached or refuses."""


class MissingExtraError(TPDRSegError, ImportError):
    """A part of the package was used whose own dependencies are not installed."""


class FundusWarning(UserWarning):
    """An input that was used, but that does not look like a colour fundus photograph."""


class ConfigWarning(UserWarning):
    """A configuration that was used although a part of it is not known to this version."""
