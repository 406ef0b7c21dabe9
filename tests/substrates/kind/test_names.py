"""Names that pods find although no Service has them."""

from pathlib import Path

import pytest

from harness.errors import SubstrateError
from harness.substrates.kind import names

COREFILE = """\
.:53 {
    errors
    health {
       lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
    }
    forward . /etc/resolv.conf
    cache 30
}
"""


def test_the_hosts_file_is_asked_before_the_clusters_own_names_and_only_once() -> None:
    changed = names.corefile(COREFILE)
    assert changed.index("hosts /etc/rundrill/hosts") < changed.index("kubernetes cluster.local")
    assert changed.replace(names.BLOCK, "") == COREFILE
    assert names.corefile(changed) == changed


def test_a_corefile_without_the_clusters_names_is_refused_and_shown() -> None:
    with pytest.raises(SubstrateError, match=r"expected a line `kubernetes cluster.local`; found:\n\.:53"):
        names.corefile(".:53 {\n    errors\n}\n")


def test_the_name_of_a_service_is_found_in_full_as_well() -> None:
    text = names.hosts({"10.1.2.3": ["db.prod.internal", "postgresql.microservices.svc"]})
    assert text == "10.1.2.3 db.prod.internal postgresql.microservices.svc postgresql.microservices.svc.cluster.local\n"


def test_the_file_is_replaced_whole(tmp_path: Path) -> None:
    names.write(tmp_path, {"10.0.0.1": ["one"]})
    names.write(tmp_path, {"10.0.0.2": ["two"]})
    assert [path.read_text() for path in tmp_path.iterdir()] == ["10.0.0.2 two\n"]
