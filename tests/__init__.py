"""The tests of `tp_drseg`; `tests.support` is what several of them use."""
