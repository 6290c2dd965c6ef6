"""The geometry between the original pixels and the working frame, and the exact way back.

Coordinates are continuous, ``x`` to the right and ``y`` down, with the origin at the *corner* of
the top left pixel: pixel ``i`` covers ``[i, i + 1)`` and has its centre at ``i + 0.5``. In this
convention (half-pixel centres, ``align_corners=False``) a change of frame is a shift and a scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tp_drseg.errors import ConfigError, ImageError
from tp_drseg.images.field_of_view import FieldOfView


@dataclass(frozen=True)
class Frame:
    """A crop of the original image and the size to which it is scaled.

    Attributes:
        original_size: ``(H, W)`` of the original image, in pixels.
        box: The crop in original pixels: left, top, right, bottom; right and bottom exclusive.
        size: ``(h, w)`` of the working frame, before any padding.
    """

    original_size: tuple[int, int]
    box: tuple[int, int, int, int]
    size: tuple[int, int]

    def __post_init__(self) -> None:
        """Refuse a frame that no image can have.

        Raises:
            ConfigError: The box is empty or leaves the image, or the size is not positive.
        """
        height, width = self.original_size
        left, top, right, bottom = self.box
        if not (0 <= left < right <= width and 0 <= top < bottom <= height):
            raise ConfigError(
                f"The box {self.box} (left, top, right, bottom) is empty or leaves "
                f"the image of {width}x{height} px."
            )
        if min(self.size) < 1:
            raise ConfigError(f"The working frame {self.size} must be at least 1 px high and wide.")

    @classmethod
    def fit(cls, field_of_view: FieldOfView, working_diameter: int) -> Frame:
        """Frame the field of view so that its longest side has the asked length.

        Args:
            field_of_view: Where the retina is in the original image.
            working_diameter: Longest side of the working frame in px; smaller or larger than the
                original's.

        Raises:
            ConfigError: ``working_diameter`` is below 1.
        """
        if working_diameter < 1:
            raise ConfigError(f"working_diameter is {working_diameter}: it must be at least 1 px.")
        left, top, right, bottom = field_of_view.box
        scale = working_diameter / field_of_view.diameter
        height, width = field_of_view.mask.shape
        size = (max(1, round((bottom - top) * scale)), max(1, round((right - left) * scale)))
        return cls(original_size=(height, width), box=field_of_view.box, size=size)

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Crop and scale an image, without aliasing.

        Args:
            image: ``(H, W, 3)`` uint8, original pixels.

        Returns:
            ``(h, w, 3)`` uint8 (bicubic, its kernel widened when it scales down).

        Raises:
            ImageError: The image does not have this frame's original size, or is not uint8 RGB.
        """
        if image.shape != (*self.original_size, 3) or image.dtype != np.uint8:
            raise ImageError(
                f"The image has shape {image.shape} and dtype {image.dtype}: this frame was made "
                f"for {(*self.original_size, 3)} uint8."
            )
        height, width = self.size
        # Pillow widens the kernel with the scale, which is what keeps aliasing out.
        scaled = Image.fromarray(image).resize(
            (width, height), Image.Resampling.BICUBIC, box=self.box
        )
        return np.array(scaled, dtype=np.uint8)

    def apply_mask(self, mask: NDArray[Any]) -> NDArray[np.float32]:
        """Crop and scale a mask to the share of each working pixel that it covers.

        Args:
            mask: ``(H, W)`` bool, original pixels.

        Returns:
            ``(h, w)`` float32 in ``[0, 1]``: the exact area average.

        Raises:
            ImageError: The mask does not have this frame's original size.
        """
        if mask.shape != self.original_size:
            raise ImageError(
                f"The mask has shape {mask.shape}: this frame was made for {self.original_size}."
            )
        left, top, right, bottom = self.box
        cropped = mask[top:bottom, left:right].astype(bool)
        height, width = self.size
        coverage = _average_rows(_average_rows(cropped.T, width).T, height)
        return np.ascontiguousarray(np.clip(coverage, 0.0, 1.0))

    def restore(
        self, values: NDArray[np.float32], inside: NDArray[np.bool_] | None = None
    ) -> NDArray[np.float32]:
        """Bring values from the working frame back to the original pixels.

        Args:
            values: ``(h, w)`` or ``(C, h, w)`` float32, in the working frame.
            inside: ``(H, W)`` bool, original pixels; the others become 0.

        Returns:
            ``(H, W)`` or ``(C, H, W)`` float32: bilinear with half-pixel centres (its kernel
            widened when it scales down), and 0 outside of the box.

        Raises:
            ImageError: The values do not have this frame's working size.
        """
        if values.ndim not in (2, 3) or values.shape[-2:] != self.size:
            raise ImageError(
                f"The values have shape {values.shape}: expected {self.size} or (C, *{self.size})."
            )
        restored = np.zeros((*values.shape[:-2], *self.original_size), dtype=np.float32)
        maps = (array.reshape(-1, *array.shape[-2:]) for array in (values, restored))
        for working, target in zip(*maps, strict=True):  # one at a time, for the memory's sake
            self._restore_into(target, working, inside)
        return restored

    def to_working(self, points: NDArray[Any]) -> NDArray[np.float64]:
        """Map points from the original image to the working frame.

        Args:
            points: ``(N, 2)`` x, y in original pixels; the centre of pixel ``i`` is ``i + 0.5``.

        Returns:
            ``(N, 2)`` float64 x, y in working pixels. Points outside of the box are mapped too.

        Raises:
            ImageError: The points are not ``(N, 2)``.
        """
        return (_as_points(points) - self.box[:2]) * self._scale

    def to_original(self, points: NDArray[Any]) -> NDArray[np.float64]:
        """Map points from the working frame to the original image: :meth:`to_working` undone.

        Args:
            points: ``(N, 2)`` x, y in working pixels; the centre of pixel ``i`` is ``i + 0.5``.

        Returns:
            ``(N, 2)`` float64 x, y in original pixels.

        Raises:
            ImageError: The points are not ``(N, 2)``.
        """
        return _as_points(points) / self._scale + self.box[:2]

    @property
    def _scale(self) -> NDArray[np.float64]:
        """Working pixels per original pixel, x and y; they differ by the rounding of the size."""
        left, top, right, bottom = self.box
        height, width = self.size
        return np.array([width / (right - left), height / (bottom - top)])

    def _restore_into(
        self,
        target: NDArray[np.float32],
        values: NDArray[np.float32],
        inside: NDArray[np.bool_] | None,
    ) -> None:
        import torch  # whose scaling uses all cores; whoever has values has it loaded
        import torch.nn.functional as F

        left, top, right, bottom = self.box
        box = (slice(top, bottom), slice(left, right))
        size = (bottom - top, right - left)
        working = torch.from_numpy(np.require(values, np.float32, ["C", "W"]))
        grown = F.interpolate(
            working[None, None],
            size,
            mode="bilinear",
            antialias=size[0] < self.size[0] or size[1] < self.size[1],
        )
        scaled = grown.clamp_(working.min(), working.max())[0, 0].numpy()  # rounding passes them
        np.multiply(scaled, True if inside is None else inside[box], out=target[box])


def _average_rows(values: NDArray[Any], length: int) -> NDArray[np.float32]:
    """Scale the first axis to ``length`` by area average.

    The running sum, read at the (fractional) edges of the new pixels, gives each one's exact sum.
    Pillow's box filter counts a pixel as a whole or not at all, which moves borders.
    """
    rows = len(values)
    edges = np.linspace(0.0, rows, length + 1)
    whole = np.minimum(edges.astype(np.intp), rows - 1)
    part = (edges - whole)[:, None]
    # Exact, or float64: the difference of two running sums must not lose the fraction.
    kind = np.int32 if values.dtype == np.bool_ else np.float64
    running = np.cumsum(values, axis=0, dtype=kind)
    sums = running[whole] - (1.0 - part) * values[whole]
    average: NDArray[np.float32] = (np.diff(sums, axis=0) * (length / rows)).astype(np.float32)
    return average


def _as_points(points: NDArray[Any]) -> NDArray[np.float64]:
    array = np.asarray(points, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != 2:
        raise ImageError(f"The points have shape {array.shape}: expected (N, 2), x and y.")
    return array
