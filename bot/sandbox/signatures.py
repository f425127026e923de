"""Checks OAuth 1.0a HMAC-SHA1 signatures the way a strict server does."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from types import SimpleNamespace

from oauthlib.oauth1.rfc5849.signature import collect_parameters, verify_hmac_sha1
from oauthlib.oauth1.rfc5849.utils import parse_authorization_header, unescape

TOLERANCE_SECONDS = 300

_REQUIRED = {
    "oauth_consumer_key",
    "oauth_token",
    "oauth_signature_method",
    "oauth_timestamp",
    "oauth_nonce",
    "oauth_signature",
}
_KNOWN = _REQUIRED | {"oauth_version"}


class Verifier:
    """Verifies signatures and remembers nonces for as long as their timestamps are good.

    Args:
        real_time: Seconds since the epoch. Signers use their real clock, whatever the sandbox's time is.
    """

    def __init__(self, *, real_time: Callable[[], float]) -> None:
        self._real_time = real_time
        self._nonces: dict[tuple[str, str, str], float] = {}

    def verify(
        self,
        *,
        method: str,
        url: str,
        authorization: str,
        form: str | None,
        api_key: str,
        api_secret: str,
        token_secret: Callable[[str], str | None],
    ) -> str | None:
        """The access token that signed the request, or None when the signature does not hold.

        Args:
            method: The HTTP method.
            url: The absolute URL that was called, with its query.
            authorization: The Authorization header.
            form: The body when it is form-encoded: such bodies are signed too.
            api_key: The app's key.
            api_secret: The app's secret.
            token_secret: Gives the secret of an access token, or None for an unknown one.
        """
        parameters = _oauth_parameters(authorization)
        if parameters is None or not hmac.compare_digest(
            parameters["oauth_consumer_key"].encode(), api_key.encode()
        ):
            return None
        token = parameters["oauth_token"]
        secret = token_secret(token)
        if secret is None or not self._timely(parameters["oauth_timestamp"]):
            return None
        signed = _signed_parameters(url, form, authorization)
        request = SimpleNamespace(
            http_method=method, uri=url, params=signed, signature=parameters["oauth_signature"]
        )
        if signed is None or not verify_hmac_sha1(request, api_secret, secret):
            return None
        return token if self._fresh(parameters) else None

    def _timely(self, timestamp: str) -> bool:
        if not (timestamp.isascii() and timestamp.isdigit()):
            return False
        return abs(self._real_time() - int(timestamp)) <= TOLERANCE_SECONDS

    def _fresh(self, parameters: dict[str, str]) -> bool:
        now = self._real_time()
        while self._nonces:
            oldest = next(iter(self._nonces))
            if self._nonces[oldest] >= now:
                break
            del self._nonces[oldest]
        used = (parameters["oauth_token"], parameters["oauth_timestamp"], parameters["oauth_nonce"])
        if used in self._nonces:
            return False
        self._nonces[used] = int(parameters["oauth_timestamp"]) + TOLERANCE_SECONDS
        return True


def _signed_parameters(url: str, form: str | None, authorization: str) -> list[tuple[str, str]] | None:
    _, _, query = url.partition("?")
    try:
        signed: list[tuple[str, str]] = collect_parameters(
            uri_query=query, body=form, headers={"Authorization": authorization}
        )
    except ValueError:
        return None
    return signed


def _oauth_parameters(authorization: str) -> dict[str, str] | None:
    try:
        pairs: list[tuple[str, str]] = parse_authorization_header(authorization)
    except ValueError:
        return None
    parameters = {name: unescape(value) for name, value in pairs}
    if len(parameters) != len(pairs):
        return None
    names = {name for name in parameters if name.startswith("oauth_")}
    if not _REQUIRED <= names <= _KNOWN or parameters["oauth_signature_method"] != "HMAC-SHA1":
        return None
    return parameters if parameters.get("oauth_version", "1.0") == "1.0" else None
