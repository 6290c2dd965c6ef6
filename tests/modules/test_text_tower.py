from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tp_drseg.errors import PromptError
from tp_drseg.modules.sentence_encoder import SentenceEncoder
from tp_drseg.modules.text_tower import GAMMA, RIDGE, TextTower, kernel, solve_votes

SHAPE = {"vocab_size": 30522, "width": 16, "heads": 2, "layers": 2, "context_length": 20}


@pytest.fixture
def tower() -> TextTower:
    torch.manual_seed(0)
    return TextTower(
        6, concepts=["red", "yellow"], examples=10, pooled_layers=(1, 2), **SHAPE
    ).requires_grad_(False)


def test_tokens_are_bert_s(tower: TextTower) -> None:
    tokens = tower.tokenize(["Tiny red dots", "microaneurysms"])
    assert tokens.tolist()[0][:5] == [101, 4714, 2417, 14981, 102]
    assert tokens[1, 0] == 101 and (tokens[1] != 0).sum() > 4  # a rare word is read in pieces
    assert tokens[0, 5:].sum() == 0


def test_a_text_that_is_too_long_is_refused(tower: TextTower) -> None:
    assert tower.tokenize(["a " * 18]).shape == (1, 20)
    with pytest.raises(PromptError, match=r"19 tokens.*at most 18.*'a a a"):
        tower.tokenize(["short", "a " * 19])


def test_padding_and_neighbours_change_nothing(tower: TextTower) -> None:
    texts = ["red", "small bright yellow spots with sharp edges", "dark"]
    together = tower(tower.tokenize(texts))
    alone = torch.cat([tower(tower.tokenize([text])) for text in texts])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-6)


def test_the_encoder_is_hugging_face_s_bert() -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=60,
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=12,
    )
    theirs: Any = transformers.BertModel(config).eval()
    for name, parameter in theirs.named_parameters():
        if "LayerNorm" in name or name.endswith("bias"):  # constant at the start
            torch.nn.init.normal_(parameter, mean=0.5)
    ours = SentenceEncoder(60, 16, 2, 3, 12, (1, 3)).requires_grad_(False)
    from tp_drseg.training.clip.concepts import _copy

    _copy(ours, theirs.state_dict())
    tokens = torch.tensor([[5, 9, 8, 0, 0], [3, 4, 7, 1, 2]])
    with torch.no_grad():
        layers = theirs(
            tokens, attention_mask=(tokens != 0).long(), output_hidden_states=True
        ).hidden_states
    rows = []
    for row, length in enumerate((3, 5)):
        parts = [layers[number][row, :length].mean(dim=0) for number in (1, 3)]
        rows.append(torch.cat([part / part.norm() for part in parts]) / 2**0.5)
    found = ours(tokens)
    cosine = (found * torch.stack(rows)).sum(dim=1)
    assert cosine.min() > 0.999  # 8 bits
    assert (found.norm(dim=1) - 1).abs().max() < 1e-5


def regression(examples: Tensor, kinds: list[int], slack: Tensor, new: Tensor) -> Any:
    """Kernel ridge regression by NumPy, entry by entry."""
    rows, points = examples.double().numpy(), new.double().numpy()

    def alike(a: Any, b: Any) -> Any:
        return np.array([[np.exp(-GAMMA * (1 - float(x @ y))) for y in b] for x in a])

    count = max(kinds) + 1
    target = np.array([[float(kind == k) - 1 / count for k in range(count)] for kind in kinds])
    votes = np.linalg.solve(alike(rows, rows) + np.diag(slack.double().numpy()), target)
    return votes, alike(points, rows) @ votes


def test_votes_solve_kernel_ridge_regression() -> None:
    torch.manual_seed(2)
    examples = torch.nn.functional.normalize(torch.randn(7, 5), dim=1)
    new = torch.nn.functional.normalize(torch.randn(3, 5), dim=1)
    kinds, slack = [0, 0, 1, 1, 1, 2, 2], torch.rand(7) + 0.1
    votes, scores = regression(examples, kinds, slack, new)
    found = solve_votes(examples, torch.tensor(kinds), slack, 3)
    np.testing.assert_allclose(found.numpy(), votes, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose((kernel(new, examples) @ found).numpy(), scores, atol=1e-5)


def test_a_further_concept_is_learned_on_the_spot(tower: TextTower) -> None:
    texts = ["a green leaf", "green grass"]
    own = tower.encoder(tower.tokenize(texts))
    others = tower.encoder(tower.tokenize(["seven old cars on a hill"]))
    assert torch.equal(tower.probabilities_with(own, []), tower.probabilities(own))
    found = tower.probabilities_with(torch.cat([own, others]), [texts])
    assert found.shape == (3, 3)
    torch.testing.assert_close(found.sum(dim=1), torch.ones(3))
    assert (found[:2].argmax(dim=1) == 2).all()
    assert torch.equal(tower.probabilities_with(torch.cat([own, others]), [texts]), found)
    assert tower.probabilities_with(own, [texts, ["a blue sky"]]).shape == (2, 4)


def test_the_feature_is_the_mixture_of_anchors(tower: TextTower) -> None:
    tokens = tower.tokenize(["yellow spots"])
    sentences = tower.encoder(tokens)
    share = tower.probabilities(sentences)[0]
    expected = share[0] * tower.anchors[0] + share[1] * tower.anchors[1]
    torch.testing.assert_close(tower(tokens)[0], expected)
    favoured = torch.stack([share[0], 20 * share[1]])
    named = favoured / favoured.sum() @ tower.anchors
    torch.testing.assert_close(tower.features(sentences, "yellow")[0], named)
    torch.testing.assert_close(tower.features(sentences, "green")[0], expected)  # no concept
    assert RIDGE > 0 and 0 < float(share.min()) < float(share.max()) < 1
