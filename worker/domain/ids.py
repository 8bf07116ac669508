"""Derives ids from the things that they identify, so that planning the same state again creates the same ids."""

import hashlib


def derive_id(prefix: str, seed: str) -> str:
    """Return the prefix followed by the first 56 bits of the seed's SHA-256 hash in base 32."""
    return prefix + encode_base32(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:7], "big"))


def encode_base32(number: int) -> str:
    """Return the number in base 32 with the digits 0-9 and a-v, which every calendar service accepts in an id."""
    digits = "0123456789abcdefghijklmnopqrstuv"
    text = ""
    while number:
        number, digit = divmod(number, 32)
        text = digits[digit] + text
    return text or "0"
