"""Certificate of a share: self-signed, made once, kept in the home. Others check its fingerprint, not its names."""

from __future__ import annotations

import datetime
import os
import ssl
from pathlib import Path

from ... import paths
from ...errors import StoreError
from ...files import atomic
from ...hub import fingerprint

_CERTIFICATE, _KEY = "certificate.pem", "key.pem"
# Clocks of computers without a network are wrong; who comes here checks the fingerprint.
_FROM, _UNTIL = datetime.datetime(2020, 1, 1), datetime.datetime(2049, 12, 31)


def server_context() -> tuple[ssl.SSLContext, str]:
    """TLS context of a share with this home's certificate, and the certificate's fingerprint.

    Makes the certificate at the first call. Raises StoreError.
    """
    certificate, key = (folder() / name for name in (_CERTIFICATE, _KEY))
    try:
        if not (certificate.is_file() and key.is_file()):
            _make(certificate, key)
        os.chmod(key, 0o600)  # noqa: PTH101  a copied home may have lost it
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(certificate, key)
        return context, fingerprint(ssl.PEM_cert_to_DER_cert(certificate.read_text(encoding="ascii")))
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        problem = f"the share's certificate in {folder()} cannot be used: {error}"
        raise StoreError(problem, "remove that folder: the next share makes another") from error


def folder() -> Path:
    """Folder of the certificate and its key."""
    return paths.home() / "share"


def _make(certificate: Path, key: Path) -> None:
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import NameOID
    except ImportError as error:
        problem = "a share for other computers is encrypted, and the package that makes its certificate is missing"
        raise StoreError(problem, "pip install cryptography") from error
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "seallm-edge share")])
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_FROM)
        .not_valid_after(_UNTIL)
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    secret = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    key.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with atomic.replacing(key, 0o600) as file:
        file.write(secret)
    atomic.write_bytes(certificate, made.public_bytes(serialization.Encoding.PEM))
