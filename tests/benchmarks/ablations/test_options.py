from __future__ import annotations

import pytest

from benchmarks.ablations.options import parse


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "o", "--data", "d", "--rows", "full,sam", "--start", "s"], "unknown rows sam"),
        (["--out", "o", "--start", "s"], "required: --data"),
        (["--out", "o", "--data", "d"], "give --sam and --clip"),
        (["--out", "o", "--data", "d", "--start", "s", "--clip", "c"], "not both"),
    ],
)
def test_wrong_use(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(arguments)
    assert message in capsys.readouterr().err
