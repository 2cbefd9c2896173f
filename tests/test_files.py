"""Files that are there whole or not at all."""

import pytest

from keras_seq.files import written_whole


def test_a_file_takes_its_name_when_it_is_whole(tmp_path):
    path = tmp_path / "a.json"
    with written_whole(path, "w") as file:
        file.write("größer")
        assert not path.exists()
    assert path.read_text(encoding="utf-8") == "größer"
    assert list(tmp_path.iterdir()) == [path]


def half_written(path):
    with written_whole(path) as file:
        file.write(b"half")
        raise InterruptedError


def test_after_an_error_there_is_what_was_there(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"before")
    with pytest.raises(InterruptedError):
        half_written(path)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]
