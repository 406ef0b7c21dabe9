"""Which requests to the Docker daemon are let through, and how: an explicit table, everything else refused. Pure.

Paths and methods are those of the Engine API, v1.24 to v1.5x (docs.docker.com/reference/api/engine).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from urllib.parse import parse_qsl, unquote_to_bytes


class Kind(Enum):
    """What a name in a path is the name of. The value is where the daemon tells of it."""

    CONTAINER = "/containers/{}/json"
    EXEC = "/exec/{}/json"
    NETWORK = "/networks/{}"
    VOLUME = "/volumes/{}"
    IMAGE = "/images/{}/json"


class Does(Enum):
    """What becomes of a request."""

    HAND_ON = "handed on as it is"
    LIST = "handed on with a filter for what is the environment's"
    REACH = "handed on if what it names is the environment's"
    MAKE = "handed on with labels and network of the environment, unless it would reach the host"


class Body(Enum):
    """What a request brings."""

    NONE = "nothing that matters"
    JSON = "a document"
    TAR = "an archive, of any size"


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the table. `hijacks`: the connection becomes the container's own streams."""

    methods: tuple[str, ...]
    shape: str
    does: Does
    body: Body = Body.NONE
    hijacks: bool = False


def _reach(methods: str, shape: str, body: Body = Body.NONE, *, hijacks: bool = False) -> Route:
    return Route(tuple(methods.split()), shape, Does.REACH, body, hijacks)


ROUTES = (
    Route(("GET", "HEAD"), "/_ping", Does.HAND_ON),
    Route(("GET",), "/version", Does.HAND_ON),
    Route(("GET",), "/info", Does.HAND_ON),
    Route(("GET",), "/images/json", Does.HAND_ON),
    Route(("GET",), "/images/{image}/json", Does.HAND_ON),
    Route(("GET",), "/images/{image}/history", Does.HAND_ON),
    Route(("GET",), "/events", Does.LIST),
    Route(("GET",), "/containers/json", Does.LIST),
    Route(("GET",), "/networks", Does.LIST),
    Route(("GET",), "/volumes", Does.LIST),
    _reach("GET", "/containers/{container}/json"),
    _reach("GET", "/containers/{container}/top"),
    _reach("GET", "/containers/{container}/logs"),
    _reach("GET", "/containers/{container}/changes"),
    _reach("GET", "/containers/{container}/stats"),
    _reach("GET HEAD", "/containers/{container}/archive"),
    _reach("PUT", "/containers/{container}/archive", Body.TAR),
    _reach("POST", "/containers/{container}/start"),
    _reach("POST", "/containers/{container}/stop"),
    _reach("POST", "/containers/{container}/restart"),
    _reach("POST", "/containers/{container}/kill"),
    _reach("POST", "/containers/{container}/pause"),
    _reach("POST", "/containers/{container}/unpause"),
    _reach("POST", "/containers/{container}/wait"),
    _reach("POST", "/containers/{container}/resize"),
    _reach("POST", "/containers/{container}/rename"),
    _reach("POST", "/containers/{container}/attach", hijacks=True),
    _reach("POST", "/containers/{container}/exec", Body.JSON),
    _reach("DELETE", "/containers/{container}"),
    _reach("GET", "/exec/{exec}/json"),
    _reach("POST", "/exec/{exec}/resize"),
    _reach("POST", "/exec/{exec}/start", Body.JSON, hijacks=True),
    _reach("GET", "/networks/{network}"),
    _reach("DELETE", "/networks/{network}"),
    _reach("POST", "/networks/{network}/connect", Body.JSON),
    _reach("POST", "/networks/{network}/disconnect", Body.JSON),
    _reach("GET", "/volumes/{volume}"),
    _reach("DELETE", "/volumes/{volume}"),
    Route(("POST",), "/containers/create", Does.MAKE, Body.JSON),
    Route(("POST",), "/networks/create", Does.MAKE, Body.JSON),
    Route(("POST",), "/volumes/create", Does.MAKE, Body.JSON),
)
"""All that is let through."""

REASONS = (
    (r"POST /(containers|networks|volumes|images|build)/prune", "prune reaches beyond this environment"),
    (r"GET /system/df", "disk usage is that of the whole machine, beyond this environment"),
    (r"POST /(build|session|grpc)", "a drill builds no images: what it needs is there"),
    (r"POST /images/(create|load)", "a drill fetches no images: what it needs is there"),
    (r"\w+ /(images|commit|distribution|auth)\b", "images are shared with what is beyond this environment"),
    (r"\w+ /(swarm|services|tasks|nodes|secrets|configs)\b", "there is no swarm in this environment"),
    (r"POST /containers/[^/]+/update", "limits are those of the environment's design"),
    (r"\w+ /containers/[^/]+/(export|attach/ws)", "it is not among what a drill lets through"),
    (r"\w+ /plugins\b", "plugins are the whole machine's"),
)
"""Why the best known of the others are not."""

MISSING = re.compile(r"/(services|tasks|nodes|secrets|configs|plugins)/([^/]+)(/json)?")
"""What `docker inspect` looks for last of all. It takes "there is none" for an answer, and a refusal for the end."""

VERBS = frozenset({"create", "json", "prune"})
"""Words of the API where other paths have a name: nothing that is called so is reached."""

LONGEST = 2048

_VERSION = re.compile(r"/v[0-9]{1,2}\.[0-9]{1,3}(?=/)")
_WORD = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
_SHAPES: Mapping[str, str] = {
    "{container}": rf"(?P<container>{_WORD})",
    "{exec}": rf"(?P<exec>{_WORD})",
    "{network}": rf"(?P<network>{_WORD})",
    "{volume}": rf"(?P<volume>{_WORD})",
    "{image}": rf"(?P<image>{_WORD}(?:[:/@]{_WORD})*)",
}


def _compiled(shape: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{\w+\}", lambda found: _SHAPES[found[0]], re.sub(r"\.", r"\\.", shape)))


_TABLE = tuple((route, _compiled(route.shape)) for route in ROUTES)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A request that the table knows. `version` is "" or like "/v1.41"; `name` is what {…} stands for, if there is one."""

    route: Route
    method: str
    version: str
    kind: Kind | None
    name: str
    query: tuple[tuple[str, str], ...]

    def path(self, name: str) -> str:
        """The path with `name` in place of what it names: made of the table's words alone."""
        return self.version + re.sub(r"\{\w+\}", lambda _: name, self.route.shape)


class RefusedError(Exception):
    """Why a request is not handed on, as the daemon would word an error of its own."""

    def __init__(self, why: str, status: int = 403) -> None:
        self.status = status
        super().__init__(why)


def refused(why: str) -> RefusedError:
    """A refusal of ours."""
    return RefusedError(f"refused by the drill: {why}")


def find(method: str, target: str) -> Wanted:
    """What a request line asks for. RefusedError if it is not in the table."""
    path, _, query = target.partition("?")
    path = _decoded(path)
    version = _VERSION.match(path)
    bare = path[version.end() :] if version else path
    for route, shape in _TABLE:
        found = shape.fullmatch(bare)
        if found and method in route.methods and not VERBS & set(found.groups()):
            names = found.groupdict()
            kind = next((Kind[name.upper()] for name in names), None)
            name = next(iter(names.values()), "")
            return Wanted(route, method, version[0] if version else "", kind, name, _parameters(query))
    missing = MISSING.fullmatch(bare)
    if method == "GET" and missing:
        raise RefusedError(f"No such {missing[1].removesuffix('s')}: {missing[2]}", 404)
    asked = f"{method} {bare}"
    why = next((why for form, why in REASONS if re.match(form, asked)), "it is not among what a drill lets through")
    raise refused(f"{why} ({asked[:200]})")


def _decoded(path: str) -> str:
    """A path as the daemon understands it. RefusedError if the daemon might understand something else."""
    decoded = unquote_to_bytes(path).decode("latin-1")
    parts = decoded.split("/")
    plain = decoded.isascii() and decoded.isprintable() and "%" not in decoded and len(decoded) < LONGEST
    if not decoded.startswith("/") or not plain or any(part in {"", ".", ".."} for part in parts[1:]):
        raise refused(f"not a path of the Docker API: {decoded[:200]!r}")
    return decoded


def _parameters(query: str) -> tuple[tuple[str, str], ...]:
    """The parameters of a query, the first of each name: the one that the daemon takes."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=100)
    except ValueError as error:
        raise refused(f"not a query of the Docker API: {error}") from error
    first: dict[str, str] = {}
    for name, value in pairs:
        first.setdefault(name, value)
    return tuple(first.items())
