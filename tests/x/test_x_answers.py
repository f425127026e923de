from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bot.core.errors import Fatal, OutcomeUnknown, Refused, Retryable, ServiceError

if TYPE_CHECKING:
    from bot.x.client import XClient
    from tests.x.conftest import ScriptedX

NOW = datetime(2026, 12, 30, 22, 15, tzinfo=UTC)
EPOCH = 1_798_700_000
RESET = datetime.fromtimestamp(EPOCH, UTC)
LATER = RESET + timedelta(hours=9)


def problem(detail: str = "", ending: str = "", **more: object) -> dict[str, object]:
    return {"detail": detail, "type": f"https://api.twitter.com/2/problems/{ending}", **more}


def coded(code: int, message: str = "") -> dict[str, object]:
    return {"errors": [{"code": code, "message": message}]}


DUPLICATE = "You are not allowed to create a Tweet with duplicate content."
MENTIONED = "You can only reply to or quote posts where you are mentioned or are the author."

Row = tuple[int, Any, type[ServiceError], str]

BOTH: list[Row] = [
    (301, b"", Fatal, "wrong_address"),
    (304, b"", Fatal, "wrong_address"),
    (400, problem("bad field"), Refused, "invalid_request"),
    (400, b"<html>", Refused, "invalid_request"),
    (400, [{"message": "in a list", "code": 1}], Refused, "invalid_request"),
    (400, {"errors": "no list"}, Refused, "invalid_request"),
    (400, {"errors": ["words", 3, None]}, Refused, "invalid_request"),
    (400, {"detail": 3, "type": 4, "errors": [{"code": "5", "message": 6}]}, Refused, "invalid_request"),
    (400, b"[" * 100_000, Refused, "invalid_request"),
    (401, {"title": "Unauthorized"}, Fatal, "keys_invalid"),
    (401, b"", Fatal, "keys_invalid"),
    (403, coded(89, "Invalid or expired token"), Fatal, "keys_invalid"),
    (402, b"", Retryable, "credits_depleted"),
    (403, problem("", "credits"), Retryable, "credits_depleted"),
    (403, {"title": "CreditsDepleted"}, Retryable, "credits_depleted"),
    (403, problem("", "client-forbidden"), Fatal, "app_forbidden"),
    (403, {"type": "https://api.x.com/2/problems/client-not-enrolled"}, Fatal, "app_forbidden"),
    (403, problem("", "oauth1-permissions"), Fatal, "app_forbidden"),
    (403, {"errors": [problem("", "client-forbidden")]}, Fatal, "app_forbidden"),
    (403, coded(64), Fatal, "account_suspended"),
    (403, coded(63), Fatal, "account_suspended"),
    (403, coded(326), Fatal, "account_suspended"),
    (403, problem("Your account is suspended."), Fatal, "account_suspended"),
    (403, problem("This account is temporarily locked."), Fatal, "account_suspended"),
    (403, problem("You have been blocked."), Refused, "policy"),
    (403, b"", Refused, "policy"),
    (403, [], Refused, "policy"),
    (405, b"", Fatal, "wrong_address"),
    (407, b"", Retryable, "x_unreachable"),
    (413, b"", Refused, "invalid_request"),
    (429, {"title": "Too Many Requests"}, Retryable, "rate_limited"),
    (429, b"", Retryable, "rate_limited"),
    (403, coded(88), Retryable, "rate_limited"),
    (429, problem("", "usage-capped", period="Daily"), Retryable, "usage_capped"),
    (403, coded(185, "User is over daily status update limit"), Retryable, "usage_capped"),
]
POSTS: list[Row] = [
    *BOTH,
    (403, problem(DUPLICATE), OutcomeUnknown, "duplicate"),
    (403, coded(187, "Status is a duplicate."), OutcomeUnknown, "duplicate"),
    (403, [{"code": 187}], OutcomeUnknown, "duplicate"),
    (403, problem(MENTIONED), Refused, "reply_not_allowed"),
    (403, coded(433), Refused, "reply_not_allowed"),
    (403, problem("Your Tweet text is too long."), Refused, "too_long"),
    (403, coded(186, "Tweet needs to be a bit shorter."), Refused, "too_long"),
    (404, b"", Fatal, "wrong_address"),
    (408, b"", OutcomeUnknown, "no_answer"),
    (409, b"", OutcomeUnknown, "conflict"),
    (425, b"", Refused, "invalid_request"),
    (500, b"", OutcomeUnknown, "server_error"),
    (502, b"<html>bad gateway</html>", OutcomeUnknown, "server_error"),
    (503, [{"code": 130}], OutcomeUnknown, "server_error"),
    (504, problem(DUPLICATE), OutcomeUnknown, "server_error"),
    (599, b"", OutcomeUnknown, "server_error"),
    (201, b"", OutcomeUnknown, "unreadable_answer"),
    (204, b"", OutcomeUnknown, "unreadable_answer"),
    (201, b'{"data": {"id": "1', OutcomeUnknown, "unreadable_answer"),
    (201, b"\xff\xfe\xfa", OutcomeUnknown, "unreadable_answer"),
    (201, [], OutcomeUnknown, "unreadable_answer"),
    (201, {"data": None}, OutcomeUnknown, "unreadable_answer"),
    (201, {"data": {"text": "hi"}}, OutcomeUnknown, "unreadable_answer"),
    (201, {"data": {"id": None}}, OutcomeUnknown, "unreadable_answer"),
    (200, {"errors": [{"message": "no"}]}, OutcomeUnknown, "unreadable_answer"),
]
GETS: list[Row] = [
    *BOTH,
    (404, b"", Refused, "not_found"),
    (408, b"", Retryable, "x_trouble"),
    (409, b"", Retryable, "x_trouble"),
    (425, b"", Retryable, "x_trouble"),
    (500, b"", Retryable, "x_trouble"),
    (503, b"<html>", Retryable, "x_trouble"),
    (200, b"", Retryable, "unreadable_answer"),
    (200, b"<html>", Retryable, "unreadable_answer"),
    (200, {"data": None}, Retryable, "unreadable_answer"),
    (200, {"data": {"id": "1"}}, Retryable, "unreadable_answer"),
]


@pytest.mark.parametrize("row", POSTS)
def test_a_post_is_told_what_to_do_next(x: ScriptedX, client: XClient, row: Row) -> None:
    status, body, kind, code = row
    x.answers(status, body, x_user_limit_24hour_remaining="3", x_user_limit_24hour_reset=str(EPOCH))
    with pytest.raises(ServiceError) as caught:
        client.create_post("hello")
    assert (type(caught.value), caught.value.code) == (kind, code)
    assert caught.value.__cause__ is not None
    assert [window.name for window in caught.value.rates] == ["24h_user"]
    assert bool(caught.value.fix) or kind is not Fatal
    assert len(x.heard) == 1


@pytest.mark.parametrize("row", GETS)
def test_a_read_is_told_what_to_do_next(x: ScriptedX, client: XClient, row: Row) -> None:
    status, body, kind, code = row
    x.answers(status, body)
    with pytest.raises(ServiceError) as caught:
        client.me()
    assert (type(caught.value), caught.value.code) == (kind, code)


def test_a_delete_may_be_repeated(x: ScriptedX, client: XClient) -> None:
    x.answers(500)
    with pytest.raises(Retryable):
        client.delete("1")


def test_credits_close_all_spending(x: ScriptedX, client: XClient) -> None:
    x.answers(402, problem("no credits left", "credits"))
    with pytest.raises(Retryable) as caught:
        client.create_post("hello")
    assert (caught.value.scope, caught.value.until) == ("account", None)


def test_keys_are_mended_by_names_permission_and_clock(x: ScriptedX, client: XClient) -> None:
    x.answers(401)
    with pytest.raises(Fatal) as caught:
        client.me()
    for word in (
        "X_API_KEY",
        "X_API_SECRET",
        "X_ACCESS_TOKEN",
        "X_ACCESS_TOKEN_SECRET",
        "Read and write",
        "clock",
    ):
        assert word in caught.value.fix


def test_x_explains_itself_in_the_message(x: ScriptedX, client: XClient) -> None:
    x.answers(
        400, {"title": "Invalid Request", "detail": "One is wrong.", "errors": [{"message": "it is text"}]}
    )
    with pytest.raises(Refused, match=r"One is wrong\.; it is text"):
        client.create_post("hello")


DAY = {"x-app-limit-24hour-remaining": "0", "x-app-limit-24hour-reset": str(EPOCH + 9 * 3600)}
QUARTER = {"x-rate-limit-remaining": "0", "x-rate-limit-reset": str(EPOCH)}
MONTHLY = problem("", "usage-capped", period="Monthly")
DAILY = problem("", "usage-capped", period="Daily")


@pytest.mark.parametrize(
    ("body", "headers", "until"),
    [
        (b"", {}, NOW + timedelta(minutes=15)),
        (b"", QUARTER, RESET),
        (b"", {"x-rate-limit-reset": str(EPOCH)}, RESET),
        (b"", DAY | QUARTER, LATER),
        (b"", DAY | {"x-app-limit-24hour-remaining": "4"} | QUARTER, RESET),
        (b"", {"retry-after": "60"}, NOW + timedelta(minutes=1)),
        (b"", {"retry-after": "Thu, 31 Dec 2026 08:00:00 GMT"}, datetime(2026, 12, 31, 8, tzinfo=UTC)),
        (b"", {"retry-after": "Thu, 31 Dec 2026 08:00:00 -0000"}, datetime(2026, 12, 31, 8, tzinfo=UTC)),
        (b"", {"retry-after": "soon"}, NOW + timedelta(minutes=15)),
        (b"", {"x-rate-limit-reset": "soon", "retry-after": "60"}, NOW + timedelta(minutes=1)),
        (b"", {"x-rate-limit-reset": "1" * 30}, NOW + timedelta(minutes=15)),
        (coded(88), QUARTER, RESET),
        (DAILY, {}, datetime(2026, 12, 31, tzinfo=UTC)),
        (DAILY, DAY, LATER),
        (DAILY, QUARTER, datetime(2026, 12, 31, tzinfo=UTC)),
        (MONTHLY, DAY, datetime(2027, 1, 1, tzinfo=UTC)),
        (problem("", "usage-capped"), {}, NOW + timedelta(minutes=30)),
        (coded(185), {}, NOW + timedelta(minutes=30)),
        (coded(185), DAY, LATER),
    ],
)
def test_a_limit_says_until_when(
    x: ScriptedX, client: XClient, body: Any, headers: dict[str, str], until: datetime
) -> None:
    x.answers(429, body, **headers)
    with pytest.raises(Retryable) as caught:
        client.create_post("hello")
    assert caught.value.until == until


@pytest.mark.parametrize("missing", ["api_key", "api_secret", "access_token", "access_token_secret"])
def test_a_missing_key_is_named_before_any_call(
    x: ScriptedX, make_client: Callable[..., XClient], missing: str
) -> None:
    with pytest.raises(Fatal, match=f"X_{missing.upper()}$") as caught:
        make_client(x.url, **{missing: ""}).me()
    assert caught.value.code == "keys_missing"
    assert x.connections == 0


def test_an_impossible_key_is_named_and_not_quoted(x: ScriptedX, make_client: Callable[..., XClient]) -> None:
    with pytest.raises(Fatal, match="X_API_KEY has") as caught:
        make_client(x.url, api_key="half\udcff").me()
    assert caught.value.code == "keys_invalid"
    assert "half" not in repr(caught.value)
    assert x.connections == 0
