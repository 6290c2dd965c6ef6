"""JSON and YAML that readers stumble over: deep, huge, odd, or another language in disguise."""

from __future__ import annotations


def hard_json() -> list[bytes]:
    """Return files that claim to be JSON."""
    return [
        *(b"", b"null", b"[]", b"3", b"\xff\xfe", b"\0", b'"x"', b"{", b'{"version": 1}}'),
        b"[" * 200_000,
        b'{"a":' * 100_000,
        b'{"version": ' + b"1" * 5000 + b"}",
        *(b'{"version": NaN}', b'{"version": 1e400}', b'{"version": true}', b'{"version": -0}'),
        b'\xef\xbb\xbf{"version": 1}',
        b'{"version": 1, "version": 2}',
        b'{"\\ud800": 1}',
    ]


def hard_yaml(key: str) -> list[bytes]:
    """Return files that claim to be YAML; `key` is a name that the reader expects at the top."""
    values = (
        *("2001-99-99", "2001-02-30", "[2001-13-45]", "0b", "0b2", "0o9", "1_", ".", "=", "190:20"),
        *("190:20:30:99999999999", "&a [*a]", "&a {b: *a}", ".nan", "-.inf", "{<<: 3}", "~", "@x"),
        *("!!timestamp x", "!!int x", "!!float x", "!!bool x", "!!binary a", "!!set x", "!!null x"),
        *("!!omap [a]", "!!pairs [a]", "!!python/object/apply:os.system ['true']", "!x y", "%"),
        *("{? {a: b} : 1}", "{? [1] : 2}", "[{1: 2, b: 3}]", "1" * 5000, "[" * 20_000, "'"),
        *("{a: " * 3000, "| \n", "*missing", "\x1b[2J", '"\\uD800"'),
    )
    texts = [f"{key}: {value}\n".encode() for value in values]
    return [
        *texts,
        *(b"", b"- 1", b"1: 2", b"null: 3", b"? [1]\n: 2", b"\0", b"{" * 3000, b"!!binary a"),
        *(f"{key}: ".encode() + end for end in (b"\xc3\x28", b"\xff", b"\t- x")),
        f"{key}: 1\n{key}: 2\n".encode(),
        _laughs(key),
        _nested_laughs(key),
    ]


def _laughs(key: str) -> bytes:
    """Each line ten times the one before, by name: 10 ** 10 letters in some 500 bytes."""
    lines = ["a0: &a0 [" + ",".join("x" * 10) + "]"]
    for level in range(1, 10):
        lines.append(f"a{level}: &a{level} [" + ",".join([f"*a{level - 1}"] * 10) + "]")
    return ("\n".join([*lines, f"{key}: *a9"]) + "\n").encode()


def _nested_laughs(key: str) -> bytes:
    """The same in one value."""
    nested = "&a0 [" + ",".join("x" * 10) + "]"
    for level in range(1, 9):
        nested = f"&a{level} [{nested}," + ",".join([f"*a{level - 1}"] * 9) + "]"
    return f"{key}: [{nested}]\n".encode()
