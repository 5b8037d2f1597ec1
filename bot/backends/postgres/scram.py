"""A password the server can check and nobody can read back.

`CREATE ROLE .. PASSWORD 'plain'` shows the password to `log_statement`, `pg_stat_activity` and every
extension that reads statements. A verifier computed here shows nothing that would let anyone log in.
"""

import base64
import hashlib
import hmac
import secrets

ITERATIONS = 4096  # RFC 7677 section 4: at least 4096; the random password needs no stretching beyond that


def new_password() -> str:
    """192 random bits as ASCII, so that SASLprep (RFC 4013) changes nothing."""
    return secrets.token_urlsafe(24)


def verifier(password: str, salt: bytes | None = None) -> str:
    """What `pg_authid` stores: `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`.

    The keys are those of RFC 5802 section 3 with the hash of RFC 7677; the form is RFC 5803's as PostgreSQL
    writes it (manual, `pg_authid.rolpassword`). `password` is ASCII.
    """
    salt = secrets.token_bytes(16) if salt is None else salt
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    words = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return "SCRAM-SHA-256${}:{}${}:{}".format(ITERATIONS, *words)
