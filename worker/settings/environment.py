"""Reads secrets from the environment. Each is in a variable, or in the file that the variable NAME_FILE names."""

import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr

from worker.errors import Problem

KEY_VARIABLE = "LONGARC_KEY"
#: The bearer tokens of directories that push people by SCIM. There are several while one replaces another.
SCIM_TOKEN_VARIABLE = "LONGARC_SCIM_TOKEN"  # noqa: S105  # the name of a variable
MIN_SCIM_TOKEN_CHARS = 32

#: Matches 32 bytes in URL-safe base64.
_FERNET_KEY = re.compile(r"[A-Za-z0-9_-]{43}=")


def read_variable(name: str, env: Mapping[str, str], problems: list[Problem]) -> str:
    """Return the value of a variable, or of the file that NAME_FILE names; empty when neither is set.

    A problem is added to `problems` when both are set or the file can't be read.
    """
    value, file = env.get(name, ""), env.get(f"{name}_FILE", "")
    if value and file:
        problems.append(Problem(name, f"Both {name} and {name}_FILE are set.", "Set one of them."))
    if value or not file:
        return value
    try:
        return Path(file).read_text(encoding="utf-8-sig").rstrip("\r\n")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        remedy = "Write the path of a file that Longarc may read."
        problems.append(Problem(f"{name}_FILE", f"The file that this variable names can't be read: {reason}.", remedy))
        return ""


def get_used_variable(name: str, env: Mapping[str, str]) -> str:
    """Return the name of the variable that was read: NAME or NAME_FILE."""
    return name if env.get(name) else f"{name}_FILE"


def read_keys(env: Mapping[str, str], problems: list[Problem]) -> tuple[SecretStr, ...]:
    """Return the keys in the environment. A single problem is added to `problems` for all invalid keys."""
    keys = [key for key in re.split(r"[\s,]+", read_variable(KEY_VARIABLE, env, problems)) if key]
    invalid_numbers = [number for number, key in enumerate(keys, 1) if not _FERNET_KEY.fullmatch(key)]
    if invalid_numbers:
        what = f"Key {invalid_numbers[0]} of {len(keys)} is not 32 bytes in URL-safe base64."
        if len(invalid_numbers) > 1:
            count = f"{len(invalid_numbers)} of {len(keys)}"
            what = f"{count} keys are not 32 bytes in URL-safe base64; the first is key {invalid_numbers[0]}."
        remedy = "Create a key with `longarc key`. Separate several keys by commas."
        if any(key[0] in "\"'" for key in keys):
            remedy = "Write keys without quotation marks."
        problems.append(Problem(get_used_variable(KEY_VARIABLE, env), what, remedy))
    return tuple(SecretStr(key) for key in keys)


def read_scim_tokens(env: Mapping[str, str], problems: list[Problem]) -> tuple[SecretStr, ...]:
    """Return the SCIM tokens in the environment. A problem is added for short tokens, which could be guessed."""
    tokens = [token for token in re.split(r"[\s,]+", read_variable(SCIM_TOKEN_VARIABLE, env, problems)) if token]
    short_numbers = [number for number, token in enumerate(tokens, 1) if len(token) < MIN_SCIM_TOKEN_CHARS]
    if short_numbers:
        what = f"Token {short_numbers[0]} of {len(tokens)} is shorter than {MIN_SCIM_TOKEN_CHARS} characters."
        remedy = "Create a token with `openssl rand -hex 32`. Separate several tokens by commas."
        problems.append(Problem(get_used_variable(SCIM_TOKEN_VARIABLE, env), what, remedy))
    return tuple(SecretStr(token) for token in tokens)
