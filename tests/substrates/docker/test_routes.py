"""The table of what is let through to the daemon: all of the Engine API is listed here, and only what is marked gets through."""

import json
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.substrates.docker_proxy.routes import ROUTES, Does, Kind, RefusedError, find

# Every operation of the Engine API 1.41, and those of 1.43 to 1.48 that are new; "+" for those that a drill lets through.
API = """
+ GET /_ping
+ HEAD /_ping
+ GET /version
+ GET /info
  GET /system/df
  POST /auth
+ GET /events
+ GET /containers/json
+ POST /containers/create
+ GET /containers/{container}/json
+ GET /containers/{container}/top
+ GET /containers/{container}/logs
+ GET /containers/{container}/changes
  GET /containers/{container}/export
+ GET /containers/{container}/stats
+ POST /containers/{container}/resize
+ POST /containers/{container}/start
+ POST /containers/{container}/stop
+ POST /containers/{container}/restart
+ POST /containers/{container}/kill
  POST /containers/{container}/update
+ POST /containers/{container}/rename
+ POST /containers/{container}/pause
+ POST /containers/{container}/unpause
+ POST /containers/{container}/attach
  GET /containers/{container}/attach/ws
+ POST /containers/{container}/wait
+ DELETE /containers/{container}
+ HEAD /containers/{container}/archive
+ GET /containers/{container}/archive
+ PUT /containers/{container}/archive
  POST /containers/{container}/copy
  POST /containers/{container}/checkpoints
  POST /containers/prune
+ GET /images/json
  POST /build
  POST /build/prune
  POST /build/cancel
  POST /images/create
+ GET /images/{image}/json
+ GET /images/{image}/history
  POST /images/{image}/push
  POST /images/{image}/tag
  DELETE /images/{image}
  GET /images/search
  POST /images/prune
  POST /commit
  GET /images/{image}/get
  GET /images/get
  POST /images/load
+ POST /containers/{container}/exec
+ POST /exec/{exec}/start
+ POST /exec/{exec}/resize
+ GET /exec/{exec}/json
+ GET /volumes
+ POST /volumes/create
+ GET /volumes/{volume}
  PUT /volumes/{volume}
+ DELETE /volumes/{volume}
  POST /volumes/prune
+ GET /networks
+ GET /networks/{network}
+ DELETE /networks/{network}
+ POST /networks/create
+ POST /networks/{network}/connect
+ POST /networks/{network}/disconnect
  POST /networks/prune
  GET /plugins
  GET /plugins/privileges
  POST /plugins/pull
  GET /plugins/x/json
  DELETE /plugins/x
  POST /plugins/x/enable
  POST /plugins/x/disable
  POST /plugins/x/upgrade
  POST /plugins/create
  POST /plugins/x/push
  POST /plugins/x/set
  GET /nodes
  GET /nodes/x
  DELETE /nodes/x
  POST /nodes/x/update
  GET /swarm
  POST /swarm/init
  POST /swarm/join
  POST /swarm/leave
  POST /swarm/update
  GET /swarm/unlockkey
  POST /swarm/unlock
  GET /services
  POST /services/create
  GET /services/x
  DELETE /services/x
  POST /services/x/update
  GET /services/x/logs
  GET /tasks
  GET /tasks/x
  GET /tasks/x/logs
  GET /secrets
  POST /secrets/create
  GET /secrets/x
  DELETE /secrets/x
  POST /secrets/x/update
  GET /configs
  POST /configs/create
  GET /configs/x
  DELETE /configs/x
  POST /configs/x/update
  GET /distribution/{image}/json
  POST /session
  POST /grpc
  GET /debug/pprof/
  GET /metrics
"""
OPERATIONS = [line.split()[-2:] for line in API.strip().splitlines()]
LET_THROUGH = {tuple(line.split()[1:]) for line in API.strip().splitlines() if line.startswith("+")}
NAMES = {"container": "web-1", "exec": "0a1b", "network": "net", "volume": "data", "image": "library/nginx:1.27"}
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE", "get", "")


def concrete(shape: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: NAMES[found[1]], shape)


@pytest.mark.parametrize("version", ["", "/v1.24", "/v1.41", "/v1.51"])
def test_exactly_what_is_marked_gets_through(version):
    through = set()
    for _, shape in OPERATIONS:
        for method in METHODS:
            try:
                wanted = find(method, version + concrete(shape))
            except RefusedError as error:
                assert str(error)  # noqa: PT017 - which of them are refused is what is counted
            else:
                assert wanted.path(wanted.name) == version + concrete(shape)
                through.add((method, shape))
    assert through == LET_THROUGH


def test_the_table_has_no_line_that_the_list_lacks():
    assert {(method, route.shape) for route in ROUTES for method in route.methods} == LET_THROUGH


words = st.sampled_from(
    sorted(
        {word for _, shape in OPERATIONS for word in shape.split("/")}
        | {
            "..",
            ".",
            "",
            "%2e%2e",
            "%2f",
            "a b",
            "prune",
            "create",
            "v1.41",
            "json",
            "x" * 3000,
            "é",
            "%00",
            "a%25b",
            "-a",
        }
    )
)


@settings(deadline=None)
@given(st.sampled_from(METHODS), st.lists(words, max_size=6), st.sampled_from(["", "/v1.41", "/v1.41/v1.41", "/v1"]))
@example("POST", ["containers", "..", "images", "prune"], "/v1.41")
@example("POST", ["containers", "web", "..", "prune"], "")
def test_no_path_gets_through_that_the_table_does_not_spell(method, parts, version):
    target = version + "/" + "/".join(parts)
    try:
        wanted = find(method, target)
    except RefusedError:
        return
    path = wanted.path(wanted.name)
    assert (method, wanted.route.shape) in LET_THROUGH
    assert ".." not in path.split("/")
    assert re.fullmatch(r"(/v1\.41)?(/[A-Za-z0-9_][A-Za-z0-9_.:@-]*)+", path)


@settings(deadline=None)
@given(st.sampled_from(METHODS), st.text(max_size=60))
def test_any_text_at_all_is_understood_or_refused(method, text):
    for target in (text, "/" + text, "/containers/" + text, f"/containers/{text}/json", f"/images/{text}/json"):
        try:
            wanted = find(method, target)
        except RefusedError as error:
            assert error.status in {403, 404}  # noqa: PT017
        else:
            assert (method, wanted.route.shape) in LET_THROUGH
            assert wanted.path(wanted.name).isascii()


@pytest.mark.parametrize(
    "target",
    [
        "/containers//json",
        "/containers/a/../b/json",
        "/containers/a%2f..%2fb/json",
        "/containers/%2e%2e/json",
        "/containers/a%20b/json",
        "/containers/a%0d%0aX/json",
        "/containers/a%252f/json",
        "/containers/a\\b/json",
        "/containers/./json",
        "containers/json",
        "http://docker/containers/json",
        "//containers/json",
        "/v1.41//containers/json",
        "/containers/json/",
        "/v1.41/v1.41/containers/json",
        "/CONTAINERS/json",
        "/containers/json;x",
        "*",
        "",
    ],
)
def test_paths_that_may_mean_something_else_are_refused(target):
    with pytest.raises(RefusedError, match="refused by the drill"):
        find("GET", target)


def test_of_a_parameter_that_comes_twice_the_first_counts_as_with_the_daemon():
    assert find("GET", "/containers/json?all=1&filters=a&all=0&filters=b&x").query == (
        ("all", "1"),
        ("filters", "a"),
        ("x", ""),
    )


def test_a_refusal_says_what_it_is_about():
    said = {
        ("POST", "/v1.41/containers/prune"): "prune reaches beyond this environment",
        ("POST", "/images/create?fromImage=x"): "fetches no images",
        ("POST", "/build"): "builds no images",
        ("DELETE", "/images/nginx"): "images are shared",
        ("POST", "/swarm/init"): "there is no swarm",
        ("GET", "/nothing"): "not among what a drill lets through (GET /nothing)",
    }
    for (method, target), why in said.items():
        with pytest.raises(RefusedError, match=re.escape(why)):
            find(method, target)


def test_what_docker_inspect_looks_for_last_is_missing_rather_than_refused():
    with pytest.raises(RefusedError) as error:
        find("GET", "/v1.41/services/web?insertDefaults=false")
    assert (error.value.status, str(error.value)) == (404, "No such service: web")


def test_names_are_told_with_their_kind():
    wanted = find("GET", "/v1.41/containers/web_1.x-y/logs?follow=1")
    assert (wanted.kind, wanted.name, wanted.version) == (Kind.CONTAINER, "web_1.x-y", "/v1.41")
    assert wanted.path("0123") == "/v1.41/containers/0123/logs"
    assert find("GET", "/images/reg:5000/a/b:c@sha256:0123/json").name == "reg:5000/a/b:c@sha256:0123"
    assert find("GET", "/containers/json").route.does is Does.LIST
    assert json.dumps(find("GET", "/containers/json").query) == "[]"
