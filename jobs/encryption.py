"""Secrets that must be read again are encrypted in the database; the keys are in the settings alone.

Fernet (AES-128-CBC with HMAC-SHA256). The first of ``DATA_KEYS`` encrypts, each of them decrypts: an old key stays
behind the new one until ``manage.py encrypt_secrets`` has rewritten what it had encrypted (docs/decisions/0017).
"""

from __future__ import annotations

import base64
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

PURPOSE = b"aeproject: secrets in the database"


class WrongKey(Exception):
    """None of the keys that are set decrypts this."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} cannot be decrypted: its key is not among DATA_KEYS (without DATA_KEYS it is SECRET_KEY)."
            " Put the former key behind the present one in DATA_KEYS."
        )


def encrypt(text: str) -> str:
    return _cipher(settings.DATA_KEYS).encrypt(text.encode()).decode()


def decrypt(token: str, *, what: str = "This") -> str:
    """Raises WrongKey, with ``what`` as its subject."""
    try:
        return _cipher(settings.DATA_KEYS).decrypt(token).decode()
    except InvalidToken:
        raise WrongKey(what) from None


def seal(data: bytes, *, shared: str) -> bytes:
    """Encrypts for whoever says ``shared`` again: we keep it nowhere, so that our keys alone do not open this."""
    return _sealing(shared).encrypt(data)


def unseal(sealed: bytes, *, shared: str, what: str = "This") -> bytes:
    """Raises WrongKey, with ``what`` as its subject."""
    try:
        return _sealing(shared).decrypt(sealed)
    except InvalidToken:
        raise WrongKey(what) from None


def is_by_first_key(token: str) -> bool:
    """Whether the first key alone decrypts it, so that the others may go."""
    try:
        _cipher(settings.DATA_KEYS[:1]).decrypt(token)
    except InvalidToken:
        return False
    return True


@lru_cache(maxsize=8)
def _cipher(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(_derive(key, PURPOSE)) for key in keys])


def _sealing(shared: str) -> MultiFernet:
    purpose = PURPOSE + b", shared with " + shared.encode()
    return MultiFernet([Fernet(_derive(key, purpose)) for key in settings.DATA_KEYS])


def _derive(key: str, purpose: bytes) -> bytes:
    """A key for this purpose alone: who learns it does not learn SECRET_KEY."""
    return base64.urlsafe_b64encode(HKDF(SHA256(), length=32, salt=None, info=purpose).derive(key.encode()))
