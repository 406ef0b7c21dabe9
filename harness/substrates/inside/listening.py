"""Opens listening sockets in an environment's network and hands them out: `python listening.py HOST:PORT …`, then it ends.

Standard input is a Unix socket: the descriptors go there, in the order of the arguments. A socket stays in the network it
was made in, whoever accepts from it; that is how something outside serves an address inside.
"""

import os
import socket
import sys

BACKLOG = 512


def main() -> int:
    """Hand them out; 1 and a reason where one of them cannot be opened."""
    listeners = []
    try:
        for word in sys.argv[1:]:
            host, _, port = word.rpartition(":")
            listener = socket.socket()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, int(port)))
            listener.listen(BACKLOG)
            listeners.append(listener)
    except OSError as error:
        sys.stderr.write(f"{word}: {error}\n")
        return 1
    with socket.socket(fileno=os.dup(0)) as control:
        socket.send_fds(control, [b"ok"], [listener.fileno() for listener in listeners])
    return 0


if __name__ == "__main__":
    sys.exit(main())
