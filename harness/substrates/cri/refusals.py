"""What the runtime answers when it cannot do what is asked: the name of a gRPC status, and the words. No behaviour."""

from harness.errors import SubstrateError


class RefusalError(SubstrateError):
    """A CRI call that fails with this status code."""

    code = "UNKNOWN"


class NotFoundError(RefusalError):
    """No such sandbox, container or image."""

    code = "NOT_FOUND"


class InvalidError(RefusalError):
    """The request makes no sense as it is."""

    code = "INVALID_ARGUMENT"


class NotNowError(RefusalError):
    """Not in the state that the container or sandbox is in."""

    code = "FAILED_PRECONDITION"


class TooLateError(RefusalError):
    """It took longer than was allowed."""

    code = "DEADLINE_EXCEEDED"
