"""The certificate and the user with a password that an Elasticsearch with security enabled reads at startup.

PRECEDENT_ELASTICSEARCH_PASSWORD enables it. Clients verify the node with the certificate of its authority.
"""

import base64
import hashlib
import os
import secrets
import shutil
import subprocess
from pathlib import Path

from . import places
from .trouble import Trouble

USER = "precedent"
PASSWORD = os.environ.get("PRECEDENT_ELASTICSEARCH_PASSWORD", "")
ROUNDS = 10_000

_OPEN = "xpack.security.enabled: false\n"
_SECURED = """\
xpack.security.enabled: true
xpack.security.autoconfiguration.enabled: false
xpack.security.http.ssl.enabled: true
xpack.security.http.ssl.certificate: node.pem
xpack.security.http.ssl.key: node.key
"""

_REQUEST = """\
[req]
distinguished_name = name
prompt = no
[name]
CN = precedent
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[node]
basicConstraints = critical, CA:FALSE
subjectAltName = IP:127.0.0.1, DNS:localhost
authorityKeyIdentifier = keyid
"""


def settings() -> str:
    """Lines for elasticsearch.yml."""
    return _SECURED if PASSWORD else _OPEN


def authority() -> Path:
    """The authority's certificate. It is created once, so that clients can keep it."""
    return _folder() / "ca.pem"


def secure(config: Path) -> None:
    """Put the certificate and the user into a node's configuration folder."""
    if not authority().exists():
        _certify()
    for name in ("node.pem", "node.key"):
        shutil.copy(_folder() / name, config)
    (config / "users").write_text(f"{USER}:{_hashed(PASSWORD)}\n")
    (config / "users_roles").write_text(f"superuser:{USER}\n")


def _folder() -> Path:
    return places.cache() / "services" / "certificates"


def _certify() -> None:
    # Built under another name and then renamed, so that an interruption leaves nothing that looks complete.
    aside = _folder().with_name("certificates.new")
    shutil.rmtree(aside, ignore_errors=True)
    shutil.rmtree(_folder(), ignore_errors=True)
    aside.mkdir(mode=0o700)
    (aside / "request.cnf").write_text(_REQUEST)
    make = ["openssl", "req", "-x509", "-config", "request.cnf", "-days", "3650", "-nodes"]
    make += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    for words in (
        ["-extensions", "authority", "-keyout", "ca.key", "-out", "ca.pem"],
        ["-extensions", "node", "-CA", "ca.pem", "-CAkey", "ca.key", "-keyout", "node.key", "-out", "node.pem"],
    ):
        done = subprocess.run([*make, *words], cwd=aside, capture_output=True, text=True)
        if done.returncode:
            raise Trouble("openssl could not create a certificate.", done.stderr)
    aside.rename(_folder())


def _hashed(password: str) -> str:
    """The hash for Elasticsearch's users file: PBKDF2 with HMAC-SHA512, 256 bits."""
    salt = secrets.token_bytes(32)
    key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ROUNDS, dklen=32)
    return f"{{PBKDF2}}{ROUNDS}${base64.b64encode(salt).decode()}${base64.b64encode(key).decode()}"
