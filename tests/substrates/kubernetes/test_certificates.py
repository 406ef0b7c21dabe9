import ssl

import msgspec
import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from harness.substrates.local.kubernetes.certificates import Authority, Pair
from harness.substrates.local.kubernetes.identities import ADVERTISED, Roots, administrator, files
from harness.substrates.local.kubernetes.places import nodes


def certificate(pair: Pair) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pair.certificate.encode())


def test_a_client_is_the_user_and_the_groups_that_kubernetes_reads_from_a_subject() -> None:
    shown = certificate(Authority.make("kubernetes").client("system:node:a", "system:nodes", "others"))
    names = {each.oid: [a.value for a in shown.subject.get_attributes_for_oid(each.oid)] for each in shown.subject}
    assert names[NameOID.COMMON_NAME] == ["system:node:a"]
    assert names[NameOID.ORGANIZATION_NAME] == ["system:nodes", "others"]
    usage = shown.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_what_an_authority_signs_verifies_against_it_and_not_against_another() -> None:
    ours, other = Authority.make("kubernetes"), Authority.make("kubernetes")
    signed = certificate(ours.server("kube-apiserver", names=("localhost",), addresses=("127.0.0.1",)))
    signed.verify_directly_issued_by(ours.certificate)
    with pytest.raises(InvalidSignature):
        signed.verify_directly_issued_by(other.certificate)


def test_an_authority_that_was_written_down_is_the_same_one() -> None:
    ours = Authority.make("front-proxy-ca")
    again = Authority.read(ours.pair)
    assert again.name == "front-proxy-ca"
    certificate(again.client("front-proxy-client")).verify_directly_issued_by(ours.certificate)


def test_the_roots_of_a_cluster_survive_being_written_down() -> None:
    roots = Roots.make()
    assert Roots.read(roots.texts).texts == roots.texts


def test_roots_of_which_a_file_is_missing_are_none() -> None:
    texts = dict(Roots.make().texts)
    del texts["sa.key"]
    with pytest.raises(KeyError):
        Roots.read(texts)


def test_every_node_gets_a_kubeconfig_and_a_certificate_of_its_own() -> None:
    found = files(Roots.make(), nodes(1))
    kubeconfigs = [path for path in found if path.endswith("kubelet.conf")]
    assert len(kubeconfigs) == 2
    assert len({found[path] for path in kubeconfigs}) == 2


def test_the_api_server_is_known_by_its_addresses_inside_and_by_the_loopback() -> None:
    found = files(Roots.make(), nodes(0))
    shown = x509.load_pem_x509_certificate(found["/var/lib/kubernetes/pki/apiserver.crt"].encode())
    names = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"localhost", "kubernetes.default.svc.cluster.local"} <= set(names.get_values_for_type(x509.DNSName))
    addresses = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    assert {"127.0.0.1", "10.0.0.1", "10.96.0.1"} <= addresses


def test_the_administrators_kubeconfig_leads_to_the_namespace_that_was_asked_for() -> None:
    config = msgspec.json.decode(administrator(Roots.make(), ADVERTISED, "shop"))
    assert config["contexts"][0]["context"]["namespace"] == "shop"
    assert config["clusters"][0]["cluster"]["server"] == "https://10.0.0.1:6443"


def test_certificates_can_be_loaded_by_openssl() -> None:
    context = ssl.create_default_context(cadata=Authority.make("kubernetes").pair.certificate)
    assert len(context.get_ca_certs()) == 1
