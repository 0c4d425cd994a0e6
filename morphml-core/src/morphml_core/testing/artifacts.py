"""What every store of artifacts promises: `ArtifactsSuite`."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cloudpickle
import pytest

from morphml_core.protocols import Artifacts

_ROUNDS = 60
_SIZE = 200_000


def _keep_putting(artifacts: bytes, folder: str, letter: str) -> None:
    store: Artifacts = cloudpickle.loads(artifacts)
    source = Path(folder) / f"source-{letter}"
    source.write_bytes(letter.encode() * _SIZE)
    for _ in range(_ROUNDS):
        store.put("shared/checkpoint", source)


def _keep_getting(artifacts: bytes, folder: str, letter: str) -> list[str]:
    store: Artifacts = cloudpickle.loads(artifacts)
    target = Path(folder) / f"target-{letter}"
    wrong = []
    for _ in range(_ROUNDS):
        assert store.get("shared/checkpoint", target)
        content = target.read_bytes()
        if content not in (b"a" * _SIZE, b"b" * _SIZE):
            wrong.append(f"{len(content)} bytes of {sorted(set(content))}")
    return wrong


class ArtifactsSuite:
    """Subclass it, and give the fixture `make`: a function that opens the store of one experiment, each time the same."""

    @pytest.fixture
    def make(self) -> Callable[[], Artifacts]:
        """A function that opens the store."""
        raise NotImplementedError("an ArtifactsSuite needs the fixture 'make': a function that opens the store")

    @pytest.fixture
    def artifacts(self, make: Callable[[], Artifacts]) -> Artifacts:
        """The store."""
        return make()

    @pytest.fixture
    def file(self, tmp_path: Path) -> Callable[[bytes], Path]:
        """Writes a file with that content."""

        def write(content: bytes) -> Path:
            path = tmp_path / "a-file-to-store"
            path.write_bytes(content)
            return path

        return write

    def content(self, artifacts: Artifacts, name: str, folder: Path) -> bytes | None:
        """The content of an artifact; None where there is none."""
        target = folder / "fetched"
        return target.read_bytes() if artifacts.get(name, target) else None

    @pytest.mark.parametrize("content", [b"", b"x", bytes(range(256)) * 10_000])
    def test_what_was_put_is_got(
        self, make: Callable[[], Artifacts], file: Callable[[bytes], Path], tmp_path: Path, content: bytes
    ) -> None:
        """Byte by byte, also by who opens the store later; the source stays where it was."""
        source = file(content)
        make().put("17/checkpoint", source)
        assert source.read_bytes() == content
        assert self.content(make(), "17/checkpoint", tmp_path) == content

    def test_a_second_put_replaces(self, artifacts: Artifacts, file: Callable[[bytes], Path], tmp_path: Path) -> None:
        """Longer or shorter."""
        for content in (b"first, and long", b"second"):
            artifacts.put("model", file(content))
        assert self.content(artifacts, "model", tmp_path) == b"second"
        assert list(artifacts.names()) == ["model"]

    def test_what_was_got_is_a_copy(self, artifacts: Artifacts, file: Callable[[bytes], Path], tmp_path: Path) -> None:
        """Changing it, or the source, does not change the artifact."""
        source = file(b"content")
        artifacts.put("model", source)
        source.write_bytes(b"other")
        target = tmp_path / "target"
        assert artifacts.get("model", target)
        target.write_bytes(b"changed")
        assert self.content(artifacts, "model", tmp_path) == b"content"

    def test_an_unknown_name(self, artifacts: Artifacts, tmp_path: Path) -> None:
        """There is nothing to get, and nothing happens when it is deleted."""
        assert artifacts.get("3/checkpoint", tmp_path / "target") is False
        assert not (tmp_path / "target").exists()
        artifacts.delete("3/checkpoint")
        assert list(artifacts.names()) == []

    def test_names_are_sorted_and_begin_with_the_prefix(
        self, artifacts: Artifacts, file: Callable[[bytes], Path]
    ) -> None:
        """A prefix is the beginning of a text, not a folder."""
        for name in ("2/model", "17/model", "17/checkpoint", "1/deep/er/model", "best"):
            artifacts.put(name, file(b"x"))
        assert list(artifacts.names()) == ["1/deep/er/model", "17/checkpoint", "17/model", "2/model", "best"]
        assert list(artifacts.names("17/")) == ["17/checkpoint", "17/model"]
        assert list(artifacts.names("1")) == ["1/deep/er/model", "17/checkpoint", "17/model"]
        assert list(artifacts.names("17/m")) == ["17/model"]
        assert list(artifacts.names("none")) == []

    def test_a_deleted_artifact_is_gone(
        self, artifacts: Artifacts, file: Callable[[bytes], Path], tmp_path: Path
    ) -> None:
        """And only that one."""
        for name in ("1/model", "1/checkpoint"):
            artifacts.put(name, file(b"x"))
        artifacts.delete("1/model")
        assert self.content(artifacts, "1/model", tmp_path) is None
        assert list(artifacts.names()) == ["1/checkpoint"]

    def test_readers_see_the_old_content_or_the_new(
        self, make: Callable[[], Artifacts], file: Callable[[bytes], Path], tmp_path: Path
    ) -> None:
        """Two processes write one artifact, two read it."""
        make().put("shared/checkpoint", file(b"a" * _SIZE))
        store, folder = cloudpickle.dumps(make()), str(tmp_path)
        with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("forkserver")) as pool:
            writers = [pool.submit(_keep_putting, store, folder, letter) for letter in "ab"]
            readers = [pool.submit(_keep_getting, store, folder, letter) for letter in "cd"]
            assert [reader.result(timeout=60) for reader in readers] == [[], []]
            for writer in writers:
                writer.result(timeout=60)
        assert list(make().names()) == ["shared/checkpoint"]
