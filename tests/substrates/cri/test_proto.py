"""Our excerpt of the protocol against the protocol."""

from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from harness.substrates.cri import runtime_pb2 as cri

REFERENCE = Path(__file__).parents[4] / "shared" / "cri" / "api.proto"
OURS = Path(cri.__file__).with_name("runtime.proto")


def _compiled(path: Path, folder: Path) -> FileDescriptorProto:
    protoc = pytest.importorskip("grpc_tools.protoc", reason="needs grpcio-tools")
    out = folder / f"{path.stem}.bin"
    assert protoc.main(["protoc", f"-I{path.parent}", f"--descriptor_set_out={out}", str(path)]) == 0
    return FileDescriptorSet.FromString(out.read_bytes()).file[0]


@pytest.mark.skipif(not REFERENCE.is_file(), reason=f"no {REFERENCE}: the protocol itself is not here")
def test_names_numbers_and_types_are_the_protocols(tmp_path: Path) -> None:
    ours, theirs = _compiled(OURS, tmp_path), _compiled(REFERENCE, tmp_path)
    messages = {message.name: {field.name: field for field in message.field} for message in theirs.message_type}
    enums = {enum.name: {value.name: value.number for value in enum.value} for enum in theirs.enum_type}
    methods = {(service.name, method.name): method for service in theirs.service for method in service.method}

    assert ours.package == theirs.package
    for message in ours.message_type:
        for field in message.field:
            same = messages[message.name][field.name]
            assert (field.number, field.type, field.label, field.type_name) == (
                same.number, same.type, same.label, same.type_name,
            ), f"{message.name}.{field.name}"  # fmt: skip
    for enum in ours.enum_type:
        assert {value.name: value.number for value in enum.value} == enums[enum.name]
    for service in ours.service:
        for method in service.method:
            same = methods[service.name, method.name]
            assert (method.input_type, method.output_type, method.server_streaming, method.client_streaming) == (
                same.input_type, same.output_type, same.server_streaming, same.client_streaming,
            )  # fmt: skip


def test_the_classes_are_those_of_the_file(tmp_path: Path) -> None:
    compiled = _compiled(OURS, tmp_path)
    for message in compiled.message_type:
        for each in (message, *message.nested_type):
            for field in each.field:
                field.ClearField("json_name")  # protoc writes it for others only
    generated = FileDescriptorProto.FromString(cri.DESCRIPTOR.serialized_pb)

    assert list(compiled.message_type) == list(generated.message_type)
    assert list(compiled.enum_type) == list(generated.enum_type)
    assert list(compiled.service) == list(generated.service)
