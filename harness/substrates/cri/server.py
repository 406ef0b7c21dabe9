"""CRI over gRPC on a Unix socket: which method of ours answers which call, and how refusals are told.

What is not in runtime.proto, or has no method of ours, is UNIMPLEMENTED.
"""

import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from harness.errors import HarnessError, InputError
from harness.substrates.cri.refusals import RefusalError


def handlers(service: ServiceDescriptor, implementation: object) -> grpc.GenericRpcHandler:
    """The methods of a service by their names in the protocol: RunPodSandbox is run_pod_sandbox."""
    found = {}
    for method in service.methods:
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", method.name).lower()
        if call := getattr(implementation, name, None):
            found[method.name] = _handler(method, call)
    return grpc.method_handlers_generic_handler(service.full_name, found)


def _handler(method: MethodDescriptor, call: Callable[..., Any]) -> "grpc.RpcMethodHandler[Any, Any]":
    request = message_factory.GetMessageClass(method.input_type)

    async def answered(message: Any, context: "grpc.aio.ServicerContext[Any, Any]") -> Any:
        try:
            return await call(message)
        except RefusalError as error:
            await context.abort(grpc.StatusCode[error.code], str(error))
        except InputError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except (HarnessError, OSError) as error:
            await context.abort(grpc.StatusCode.UNKNOWN, str(error))

    async def streamed(message: Any, _context: "grpc.aio.ServicerContext[Any, Any]") -> AsyncIterator[Any]:
        async for answer in call(message):
            yield answer

    make = grpc.unary_stream_rpc_method_handler if method.server_streaming else grpc.unary_unary_rpc_method_handler
    return make(
        streamed if method.server_streaming else answered,
        request_deserializer=request.FromString,
        response_serializer=lambda answer: answer.SerializeToString(),
    )


def bind(server: grpc.aio.Server, socket: Path) -> None:
    """Have it listen at a Unix socket, which is nobody else's: what was there before is removed."""
    socket.parent.mkdir(parents=True, exist_ok=True)
    socket.unlink(missing_ok=True)
    server.add_insecure_port(f"unix:{socket}")
