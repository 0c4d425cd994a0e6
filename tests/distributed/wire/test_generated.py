"""The committed code is what the installed compiler makes of morphml.proto."""

import importlib.util
from pathlib import Path

import pytest

from morphml_distributed.wire import generate
from morphml_distributed.wire import morphml_pb2 as pb

TOOLS = ("grpc_tools", "mypy_protobuf")


@pytest.mark.skipif(
    any(importlib.util.find_spec(tool) is None for tool in TOOLS),
    reason="grpcio-tools and mypy-protobuf are not installed: they are for development alone",
)
def test_the_committed_code_is_current():
    folder = Path(generate.__file__).parent
    stale = [name for name, text in generate.generated().items() if (folder / name).read_text(encoding="utf-8") != text]
    assert stale == [], "run: python -m morphml_distributed.wire.generate"


def test_field_numbers_are_distinct_and_small():
    for message in pb.DESCRIPTOR.message_types_by_name.values():
        numbers = [field.number for field in message.fields]
        assert numbers == list(range(1, len(numbers) + 1)), message.name
