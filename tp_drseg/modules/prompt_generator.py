"""Class-specific prompt generator: prompts for SAM's decoder from feature and prior (Eq. 4)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tp_drseg.modules.injector import resize_prior


class ClassPromptGenerator(nn.Module):
    """Makes dense and sparse prompt embeddings for the lesion that is asked for.

    Eq. 4: `F_p = F_e * P_e`; a 1x1 convolution spreads it over one group of C channels a class,
    of which only the asked class's, `F_p^c`, is kept; `E_d = conv(F_p^c)` and
    `E_s = linear(reshape(F_p^c))`.

    The linear map of the sparse head runs over the positions of one grid, 64x64 for images of
    1024. An embedding on another grid, such as that of a whole field of view, is averaged to it
    for the sparse head alone.

    Args:
        num_classes: number of lesions in the catalog.
        dim: channels C of the image embedding, 256 in SAM.
        grid: side of the sparse head's grid, in cells.
        sparse_tokens: how many sparse embeddings, n.
        use_prior: without it `F_p = F_e`, the paper's ablation "w/o prior in the generator".

    Example:
        >>> import torch
        >>> from tp_drseg import ClassPromptGenerator
        >>> generator = ClassPromptGenerator(num_classes=4, grid=8, sparse_tokens=3)
        >>> embedding, prior = torch.rand(1, 256, 8, 8), torch.rand(1, 1, 8, 8)
        >>> sparse, dense = generator(embedding, prior, classes=torch.tensor([2]))
        >>> sparse.shape, dense.shape
        (torch.Size([1, 3, 256]), torch.Size([1, 256, 8, 8]))
    """

    def __init__(
        self,
        num_classes: int,
        dim: int = 256,
        grid: int = 64,
        sparse_tokens: int = 8,
        use_prior: bool = True,
    ) -> None:
        super().__init__()
        self.grid = grid
        self.use_prior = use_prior
        self.class_weight = nn.Parameter(torch.empty(num_classes, dim, dim))
        self.class_bias = nn.Parameter(torch.zeros(num_classes, dim))
        self.dense = nn.Conv2d(dim, dim, kernel_size=1)
        self.sparse = nn.Linear(grid * grid, sparse_tokens)
        # each class starts from the feature itself, slightly turned
        nn.init.normal_(self.class_weight, std=0.02)
        with torch.no_grad():
            self.class_weight.add_(torch.eye(dim))

    def forward(self, embedding: Tensor, prior: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
        """Prompt embeddings, one prompt an item of the batch.

        Args:
            embedding: `F_e`, `(B, C, H_e, W_e)`.
            prior: `P_e`, `(B, 1, h, w)` in [0, 1].
            classes: `(B,)` int64, the asked class of each item.

        Returns:
            `E_s`, `(B, n, C)`, and `E_d`, `(B, C, H_e, W_e)`.
        """
        height, width = embedding.shape[-2:]
        prompted = embedding
        if self.use_prior:
            prompted = embedding * resize_prior(prior, (height, width)).to(embedding.dtype)
        positions = prompted.flatten(2)
        group = self.class_weight[classes] @ positions + self.class_bias[classes, :, None]
        spread = group.reshape(embedding.shape)
        if (height, width) != (self.grid, self.grid):
            group = F.adaptive_avg_pool2d(spread, self.grid).flatten(2)
        return self.sparse(group).transpose(1, 2), self.dense(spread)
