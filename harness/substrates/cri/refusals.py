"""What the runtime answers when it cannot do what is asked: the gRPC status and the words. No behaviour."""

import grpc

from harness.errors import SubstrateError


class RefusalError(SubstrateError):
    """A CRI call that fails with this status code."""

    code = grpc.StatusCode.UNKNOWN


class NotFoundError(RefusalError):
    """No such sandbox, container or image."""

    code = grpc.StatusCode.NOT_FOUND


class InvalidError(RefusalError):
    """The request makes no sense as it is."""

    code = grpc.StatusCode.INVALID_ARGUMENT


class NotNowError(RefusalError):
    """Not in the state that the container or sandbox is in."""

    code = grpc.StatusCode.FAILED_PRECONDITION


class TooLateError(RefusalError):
    """It took longer than was allowed."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED
