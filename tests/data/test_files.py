from collections.abc import Iterator
from pathlib import Path

import pytest

from tp_drseg.data.files import files_by_stem, find_home, refuse, subfolders
from tp_drseg.errors import DataError


def test_home_is_found_up_to_two_levels_below(tmp_path: Path) -> None:
    (tmp_path / "a" / "b" / "c" / "marker").mkdir(parents=True)
    for root in (tmp_path / "a" / "b" / "c", tmp_path / "a" / "b", tmp_path / "a"):
        assert find_home(root, "marker", "X") == tmp_path / "a" / "b" / "c"
    with pytest.raises(DataError, match=r"No X data in .*'marker'.*holds: a\. Give"):
        find_home(tmp_path, "marker", "X")


def test_the_home_nearest_to_the_root_is_taken(tmp_path: Path) -> None:
    (tmp_path / "marker" / "deep" / "marker").mkdir(parents=True)
    assert find_home(tmp_path, "marker", "X") == tmp_path


def test_two_homes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "marker").mkdir(parents=True)
    with pytest.raises(DataError, match=r"X more than once: .*one, .*two\. Give one"):
        find_home(tmp_path, "marker", "X")


def test_missing_folder_says_what_is_there_instead(tmp_path: Path) -> None:
    (tmp_path / "Images").mkdir()
    (tmp_path / "masks").mkdir()
    (tmp_path / ".hidden").mkdir()
    with pytest.raises(DataError, match=r"no folder .*images/deep.* holds: Images, masks\. Compl"):
        files_by_stem(tmp_path / "images" / "deep")
    with pytest.raises(DataError, match=r"masks is empty"):
        find_home(tmp_path / "masks", "marker", "X")


def test_hidden_and_other_files_are_passed_over(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.TIF", "Thumbs.db", ".c.png", "notes.txt"):
        (tmp_path / name).touch()
    assert list(files_by_stem(tmp_path)) == ["a", "b"]
    for name in (".git", "__MACOSX", "seen"):
        (tmp_path / name).mkdir()
    assert subfolders(tmp_path) == [tmp_path / "seen"]
    with pytest.raises(DataError, match="no image in"):
        files_by_stem(tmp_path / "seen")
    assert files_by_stem(tmp_path / "seen", may_be_empty=True) == {}


def test_all_problems_are_in_one_error() -> None:
    refuse([])
    with pytest.raises(DataError, match=r"^one$"):
        refuse(["one"])
    with pytest.raises(DataError, match=r"^There are 2 problems:\n- one\n- two$"):
        refuse(["one", "two"])


def test_links_to_a_folder_above_are_followed_once(tmp_path: Path) -> None:
    (tmp_path / "data" / "images").mkdir(parents=True)
    for name in ("again", "once_more"):
        (tmp_path / "data" / name).symlink_to(tmp_path / "data", target_is_directory=True)
    (tmp_path / "link").symlink_to(tmp_path / "data", target_is_directory=True)
    (tmp_path / "up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "itself").symlink_to(tmp_path / "itself", target_is_directory=True)
    assert find_home(tmp_path, "images", "the data").resolve() == tmp_path / "data"
    with pytest.raises(DataError, match="No the data data"):
        find_home(tmp_path, "masks", "the data")


def test_folder_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "data" / "images").mkdir(parents=True)
    (tmp_path / "data" / "images" / "a.png").write_bytes(b"")
    real = Path.iterdir

    def iterdir(path: Path) -> Iterator[Path]:
        if path.name == "closed":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    with pytest.raises(DataError, match=r"closed cannot be read \(Permission denied\)"):
        files_by_stem(tmp_path / "closed")
    assert find_home(tmp_path, "images", "the data") == tmp_path / "data"
    with pytest.raises(DataError, match="There is no folder"):
        files_by_stem(tmp_path / ("a" * 5000))
