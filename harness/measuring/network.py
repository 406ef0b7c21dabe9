"""Short words for what went wrong with a connection, the same for every protocol. Not for what a server answered."""

import errno


def network_reason(error: OSError) -> str:
    """What went wrong with a connection, in a word."""
    match error.errno:
        case errno.ECONNREFUSED:
            return "refused"
        case errno.ECONNRESET | errno.EPIPE | errno.ECONNABORTED:
            return "reset"
        case errno.EHOSTUNREACH | errno.ENETUNREACH | errno.ENETDOWN:
            return "unreachable"
        case errno.ETIMEDOUT:
            return "timeout"
        case None:
            return "closed"
        case _:
            return errno.errorcode.get(error.errno, "failed").lower()
