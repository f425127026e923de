"""What must not be shown: secrets by value, by their form, and in what a person mistyped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from urllib.parse import parse_qsl, quote, unquote

HIDDEN = "***"
UNREADABLE = "a value that can't be read"
SHORTEST_SECRET = 4
_DATABASE = r"(?:rediss?|postgres(?:ql)?(?:\+\w+)?)"
_TELLING_NAME = (
    r"(?:[\w.-]*[_.-])?(?:api-?key|key|token|secret|password|passwd|pwd|sig|signature|auth|credentials?)"
)
_PATTERNS = (
    re.compile(r"(?i)(authorization['\"]?\s*[:=]\s*)(?:b?['\"])?(?:(?:oauth|bearer|basic)\s+)?[^\r\n'}]+"),
    re.compile(r"(?i)(bearer\s+)[\w.~+/=%-]+"),
    re.compile(r"(?i)(oauth_(?:token|consumer_key|signature|nonce)(?:=|%3D)\"?)[^\"&,\s]+"),
    # A database's user is no secret; its password may hold any sign, so it ends at the last @.
    # The word PASSWORD stands where a message shows what an address looks like.
    re.compile(rf"(?i)(\b{_DATABASE}://[^/\s:@]*:)(?!(?-i:PASSWORD@HOST)\b)\S+(?=@)"),
    # Elsewhere the whole of it may be a token.
    re.compile(rf"(?i)(\b(?!{_DATABASE}:)[a-z][a-z0-9+.-]*://)[^/?#\s]+(?=@)"),
    re.compile(rf"(?i)([?&;]{_TELLING_NAME}=)[^&\s#'\"<>]+"),
)
_DATABASE_PASSWORD = re.compile(r"^[^:/]+://[^:/@]*:(.*)@")
_WEB_USERINFO = re.compile(r"(?i)[a-z][a-z0-9+.-]*://([^/?#]*)@")
_KEY = re.compile(
    r"(?i)(?:^|[\s'\"=])(?:sk|pk|rk|gsk|xai|ghp|akia)[-_]?[a-z0-9_-]{12}"
    r"|(?=[a-z0-9+/=_-]*\d)(?=[a-z0-9+/=_-]*[a-z])[a-z0-9]{24}"
)
_NUMBER = re.compile(r"[+-]?\d{1,10}(?:\.\d{1,4})?")
# No service makes keys of so few letters.
_WORD = re.compile(r"[A-Za-z]{1,8}|[A-Z]?[a-z]{1,12}/[A-Z]?[a-z]{1,12}")
# An address without a user, a query or a key in it.
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]{1,9}://[^@?#\s]{1,40}")
_LONGEST_SHOWN = 40
_LONGEST_WORD = 16


# Secrets that rows hold rather than settings; there may be thousands.
_HIDDEN: set[str] = set()
_RUN = re.compile(r"[\w-]+")


def hide(secrets: Iterable[str]) -> None:
    """Has every redaction of this process take these out too, where they stand as words."""
    _HIDDEN.update(secret for secret in secrets if len(secret) >= SHORTEST_SECRET)


class Redaction:
    """Takes secrets out of text, known ones by value and others by their form."""

    def __init__(self, secrets: Iterable[str]) -> None:
        known = {secret for secret in secrets if len(secret) >= SHORTEST_SECRET}
        known |= {quote(secret, safe="") for secret in known}
        self._known = sorted(known, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """The text without secrets."""
        for secret in self._known:
            text = text.replace(secret, HIDDEN)
        if _HIDDEN:
            text = _RUN.sub(lambda run: HIDDEN if run[0] in _HIDDEN else run[0], text)
        for pattern in _PATTERNS:
            text = pattern.sub(rf"\g<1>{HIDDEN}", text)
        return text


def secrets_in(address: str) -> Iterator[str]:
    """The passwords and tokens that an address carries, as it writes them and as they are meant."""
    found = []
    if re.match(rf"(?i){_DATABASE}:", address):
        found += _DATABASE_PASSWORD.findall(address)
    elif (web := _WEB_USERINFO.match(address)) is not None:
        user, colon, password = web[1].partition(":")
        found.append(password if colon else user)
    query = address.partition("?")[2].partition("#")[0]
    if "://" in address:
        found += [value for name, value in parse_qsl(query) if re.fullmatch(f"(?i){_TELLING_NAME}", name)]
    for one in found:
        yield from dict.fromkeys((one, unquote(one)))


def looks_like_key(text: str) -> bool:
    """Whether a text has the form of an API key or a token."""
    return _KEY.search(text) is not None


def as_given(value: str, *, near: Sequence[str] = ()) -> str:
    """A value that is wrong, quoted where it can be no secret.

    Args:
        value: what a person set or typed.
        near: right values; one that resembles them is a slip of the finger.
    """
    harmless = bool(_NUMBER.fullmatch(value) or _WORD.fullmatch(value))
    if _ADDRESS.fullmatch(value):
        harmless = not looks_like_key(value)
    if not harmless and len(value) <= _LONGEST_SHOWN and not re.search(r"[@?\n]", value):
        lowered = {one.lower() for one in near}
        harmless = bool(get_close_matches(value.lower(), lowered, n=1, cutoff=0.6))
    return repr(value) if harmless else UNREADABLE


def without_keys(text: str) -> str:
    """A text that quotes what a person typed, without words that may be keys or passwords."""
    return re.sub(r"[^\s'\",]+", lambda word: HIDDEN if _may_be_key(word[0]) else word[0], text)


def _may_be_key(word: str) -> bool:
    if len(word) < _LONGEST_WORD or re.fullmatch(r"--[a-z-]+:?", word):
        return False
    return bool(re.search(r"\d", word)) or not word.isascii() or not word.isalpha() or "://" in word
