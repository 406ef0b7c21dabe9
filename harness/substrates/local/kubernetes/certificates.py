"""The keys and certificates of a cluster: two authorities, and what they sign. Text in, text out; nothing is written."""

import datetime as dt
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SINCE = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
UNTIL = dt.datetime(2120, 1, 1, tzinfo=dt.UTC)
"""A drill's clocks may be anywhere; the keys never leave the environment and its template."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, both as PEM text."""

    certificate: str
    key: str


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority."""

    name: str
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def make(cls, name: str) -> Self:
        """A new one."""
        key = _key()
        usage = x509.KeyUsage(
            digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False, key_encipherment=False,
            data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        subject = _subject(name, ())
        certificate = (
            _builder(subject, subject, key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(name, key, certificate)

    @classmethod
    def read(cls, pair: Pair) -> Self:
        """One that was written down. ValueError if that is no certificate with an elliptic-curve key."""
        key = serialization.load_pem_private_key(pair.key.encode(), password=None)
        certificate = x509.load_pem_x509_certificate(pair.certificate.encode())
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"expected an elliptic-curve key; found {type(key).__name__}")  # noqa: TRY004 - of the text
        name = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
        return cls(str(name), key, certificate)

    @property
    def pair(self) -> Pair:
        """Itself as text."""
        return Pair(_text(self.certificate), _key_text(self.key))

    def client(self, name: str, *groups: str) -> Pair:
        """What somebody shows to a server: user `name` of these groups, as Kubernetes reads a certificate's subject."""
        return self._sign(name, groups, usage=ExtendedKeyUsageOID.CLIENT_AUTH)

    def server(self, name: str, *, names: Sequence[str] = (), addresses: Sequence[str] = ()) -> Pair:
        """What a server shows that is reached by these host names and addresses."""
        return self._sign(name, (), usage=ExtendedKeyUsageOID.SERVER_AUTH, names=names, addresses=addresses)

    def _sign(
        self,
        name: str,
        groups: Sequence[str],
        *,
        usage: x509.ObjectIdentifier,
        names: Sequence[str] = (),
        addresses: Sequence[str] = (),
    ) -> Pair:
        key = _key()
        builder = (
            _builder(_subject(name, groups), self.certificate.subject, key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        known: list[x509.GeneralName] = [x509.DNSName(each) for each in names]
        known += [x509.IPAddress(ipaddress.ip_address(each)) for each in addresses]
        if known:
            builder = builder.add_extension(x509.SubjectAlternativeName(known), critical=False)
        return Pair(_text(builder.sign(self.key, hashes.SHA256())), _key_text(key))


def signing_keys() -> Pair:
    """A key for service account tokens; in the place of the certificate its public half."""
    key = _key()
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return Pair(public.decode(), _key_text(key))


def _key() -> ec.EllipticCurvePrivateKey:
    """RSA keys would cost a second a cluster."""
    return ec.generate_private_key(ec.SECP256R1())


def _subject(name: str, groups: Sequence[str]) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(SINCE)
        .not_valid_after(UNTIL)
    )


def _text(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_text(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
