from harness.substrates.local.kubernetes import places


def test_one_node_alone_is_the_control_planes_and_takes_pods() -> None:
    (node,) = places.nodes(0)
    assert node.name == "rundrill-control-plane"
    assert not node.tainted


def test_workers_are_called_as_kind_calls_them_and_keep_pods_off_the_control_plane() -> None:
    found = places.nodes(3)
    assert [node.name for node in found] == [
        "rundrill-control-plane",
        "rundrill-worker",
        "rundrill-worker2",
        "rundrill-worker3",
    ]
    assert [node.tainted for node in found] == [True, False, False, False]


def test_no_two_nodes_share_an_address_a_range_or_a_folder() -> None:
    found = places.nodes(20)
    for of in (lambda n: n.address, lambda n: n.pods, lambda n: n.root, lambda n: n.socket, lambda n: n.state):
        assert len({of(node) for node in found}) == len(found)
