"""The methods of the service as gRPC wants them, with the sizes of messages counted, and no traceback for what cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

import attrs
import grpc
from google.protobuf.message import DecodeError, Message

from morphml_distributed.wire import morphml_pb2 as pb

M = TypeVar("M", bound=Message)


@attrs.frozen
class Received(Generic[M]):
    """A message as it came: its size in bytes, and what it says; None where it cannot be read."""

    size: int
    message: M | None


class Service(Protocol):
    """What answers the calls.  Streams from a peer are read from the context."""

    received: int
    sent: int

    def join(self, _: object, context: Any) -> Any:
        """A worker's stream."""

    def watch(self, _: object, context: Any) -> Any:
        """A viewer's stream."""

    def put_artifact(self, _: object, context: Any) -> Any:
        """An artifact comes."""

    def get_artifact(self, said: Received[pb.ArtifactName], context: Any) -> Any:
        """An artifact goes."""

    def list_artifacts(self, said: Received[pb.ArtifactPrefix], context: Any) -> Any:
        """Names."""

    def delete_artifact(self, said: Received[pb.ArtifactName], context: Any) -> Any:
        """An artifact is forgotten."""


def handlers(service: Service) -> grpc.GenericRpcHandler:
    """The table of the service `morphml.v1.Master`.

    Made here, and not by the generated function, as that one prints a traceback for each message that is no protobuf.
    """

    def read(kind: type[M]) -> Callable[[bytes], Received[M]]:
        def deserialize(data: bytes) -> Received[M]:
            service.received += len(data)
            try:
                return Received(len(data), kind.FromString(data))
            except DecodeError:
                return Received(len(data), None)

        return deserialize

    def write(message: Message) -> bytes:
        data = message.SerializeToString()
        service.sent += len(data)
        return data

    return grpc.method_handlers_generic_handler(
        "morphml.v1.Master",
        {
            "Join": grpc.stream_stream_rpc_method_handler(service.join, read(pb.FromWorker), write),
            "Watch": grpc.stream_stream_rpc_method_handler(service.watch, read(pb.FromViewer), write),
            "PutArtifact": grpc.stream_unary_rpc_method_handler(service.put_artifact, read(pb.ArtifactChunk), write),
            "GetArtifact": grpc.unary_stream_rpc_method_handler(service.get_artifact, read(pb.ArtifactName), write),
            "ListArtifacts": grpc.unary_unary_rpc_method_handler(
                service.list_artifacts, read(pb.ArtifactPrefix), write
            ),
            "DeleteArtifact": grpc.unary_unary_rpc_method_handler(
                service.delete_artifact, read(pb.ArtifactName), write
            ),
        },
    )
