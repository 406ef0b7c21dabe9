"""From the harness's network into an environment's: a port of the loopback that leads to the cluster's API server."""

import socket
import ssl
from pathlib import Path

from harness.substrates import inside
from harness.substrates.inside.spawn import Program as Order
from harness.substrates.local.kubernetes import places
from harness.substrates.local.kubernetes.api import Api
from harness.substrates.local.site import Site


async def connect(site: Site) -> tuple[Api, int]:
    """Listen for it from now on, and have a program inside pass on what comes; it ends with the environment."""
    program = Path(inside.__file__).with_name("relay.py")
    argv = (site.layout.python, "-I", "-S", site.layout.program(program), "127.0.0.1", str(places.API_PORT))
    order = Order(argv=argv, env=site.base_environment(), cwd="/", identity=site.users.ours)
    complaints = site.layout.seen(f"{places.LOGS}/relay.log")
    complaints.parent.mkdir(parents=True, exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as listener, complaints.open("ab") as log:
        await site.spawn(order, (listener.fileno(), log.fileno(), log.fileno()))
        port: int = listener.getsockname()[1]
    pki = site.layout.seen(places.PKI)
    context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    context.load_cert_chain(pki / "harness.crt", pki / "harness.key")
    return Api(port, context), port
