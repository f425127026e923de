from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bot.core.errors import Fatal, OutcomeUnknown, Refused, Retryable, ServiceError
from bot.core.posting.post import Post

if TYPE_CHECKING:
    from bot.x.client import XClient
    from tests.x.conftest import ScriptedX

NOW = datetime(2026, 12, 30, 22, 15, tzinfo=UTC)
EPOCH = 1_798_700_000
RESET = datetime.fromtimestamp(EPOCH, UTC)
LATER = RESET + timedelta(hours=9)


def problem(detail: str = "", ending: str = "invalid-request", **more: object) -> dict[str, object]:
    kind = f"https://api.twitter.com/2/problems/{ending}"
    return {"title": "Refused", "detail": detail, "type": kind, **more}


def blank(status: int, detail: str = "", title: str = "Forbidden") -> dict[str, object]:
    return {"title": title, "detail": detail, "type": "about:blank", "status": status}


def coded(code: int, message: str = "") -> dict[str, object]:
    return {"errors": [{"code": code, "message": message}]}


DUPLICATE = "You are not allowed to create a Tweet with duplicate content."
MENTIONED = "You can only reply to or quote posts where you are mentioned or are the author."

Row = tuple[int, Any, type[ServiceError], str]

# In X's own words: nothing was posted.
OWN: list[Row] = [
    (400, problem("bad field"), Refused, "invalid_request"),
    (400, coded(44, "attachment_url parameter is invalid"), Refused, "invalid_request"),
    (401, blank(401, "Unauthorized", "Unauthorized"), Fatal, "keys_invalid"),
    (401, {"title": "Unauthorized", "status": 401}, Fatal, "keys_invalid"),
    (403, coded(89, "Invalid or expired token"), Fatal, "keys_invalid"),
    (402, problem("", "credits"), Retryable, "credits_depleted"),
    (403, problem("", "credits"), Retryable, "credits_depleted"),
    (403, blank(403, "", "CreditsDepleted"), Retryable, "credits_depleted"),
    (403, problem("", "client-forbidden"), Fatal, "app_forbidden"),
    (
        403,
        {"title": "No", "type": "https://api.x.com/2/problems/client-not-enrolled"},
        Fatal,
        "app_forbidden",
    ),
    (403, problem("", "oauth1-permissions"), Fatal, "app_forbidden"),
    (403, coded(64), Fatal, "account_suspended"),
    (403, coded(63), Fatal, "account_suspended"),
    (403, coded(326), Fatal, "account_suspended"),
    (403, blank(403, "Your account is suspended."), Fatal, "account_suspended"),
    (403, blank(403, "This account is temporarily locked."), Fatal, "account_suspended"),
    (403, blank(403, "You have been blocked."), Refused, "policy"),
    (429, blank(429, "", "Too Many Requests"), Retryable, "rate_limited"),
    (429, coded(88), Retryable, "rate_limited"),
    (403, coded(88), Retryable, "rate_limited"),
    (429, problem("", "usage-capped", period="Daily"), Retryable, "usage_capped"),
    (403, coded(185, "User is over daily status update limit"), Retryable, "usage_capped"),
]
# What stands between may say any of these, before X has the post or after.
OTHERS: list[Row] = [
    (301, b"", Fatal, "wrong_address"),
    (304, b"", Fatal, "wrong_address"),
    (307, b"", Fatal, "wrong_address"),
    (400, b"<html>", Refused, "invalid_request"),
    (400, b"", Refused, "invalid_request"),
    (400, [{"message": "in a list", "code": 1}], Refused, "invalid_request"),
    (400, {"errors": "no list"}, Refused, "invalid_request"),
    (400, {"errors": []}, Refused, "invalid_request"),
    (400, {"errors": ["words", 3, None]}, Refused, "invalid_request"),
    (400, {"errors": [{"code": "5", "message": "a number in quotes"}]}, Refused, "invalid_request"),
    (400, {"detail": 3, "type": 4, "title": 5}, Refused, "invalid_request"),
    (
        400,
        {"title": "Bad Request", "type": "https://tools.ietf.org/html/rfc9110", "status": 400},
        Refused,
        "invalid_request",
    ),
    (400, blank(400) | {"instance": "/2/tweets"}, Refused, "invalid_request"),
    (400, blank(403), Refused, "invalid_request"),
    (400, b"[" * 100_000, Refused, "invalid_request"),
    (401, {"title": "Unauthorized"}, Fatal, "keys_invalid"),
    (401, b"", Fatal, "keys_invalid"),
    (402, b"", Retryable, "credits_depleted"),
    (403, b"", Refused, "policy"),
    (403, {"message": "Forbidden"}, Refused, "policy"),
    (403, [], Refused, "policy"),
    (404, b"<html>nginx</html>", Refused, "not_found"),
    (405, b"", Fatal, "wrong_address"),
    (407, b"", Retryable, "x_unreachable"),
    (413, b"", Refused, "invalid_request"),
    (425, b"", Retryable, "x_trouble"),
    (425, problem("Too early"), Retryable, "x_trouble"),
    (429, {"title": "Too Many Requests"}, Retryable, "rate_limited"),
    (429, b"", Retryable, "rate_limited"),
    (451, b"", Refused, "invalid_request"),
    (499, b"", Refused, "invalid_request"),
    (499, blank(499), Refused, "invalid_request"),
]
POSTS: list[Row] = [
    *OWN,
    *((status, body, OutcomeUnknown, "not_from_x") for status, body, _, _ in OTHERS),
    (403, blank(403, DUPLICATE), OutcomeUnknown, "duplicate"),
    (403, coded(187, "Status is a duplicate."), OutcomeUnknown, "duplicate"),
    (403, [{"code": 187}], OutcomeUnknown, "duplicate"),
    (403, blank(403, MENTIONED), Refused, "reply_not_allowed"),
    (403, coded(433), Refused, "reply_not_allowed"),
    (403, problem("Your Tweet text is too long."), Refused, "too_long"),
    (403, coded(186, "Tweet needs to be a bit shorter."), Refused, "too_long"),
    (
        400,
        {"type": "https://api.twitter.com.example.com/2/problems/credits", "title": "x"},
        OutcomeUnknown,
        "not_from_x",
    ),
    (404, b"", OutcomeUnknown, "not_from_x"),
    (404, problem("gone", "resource-not-found"), OutcomeUnknown, "not_from_x"),
    (408, b"", OutcomeUnknown, "no_answer"),
    (409, b"", OutcomeUnknown, "conflict"),
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
    *OWN,
    *OTHERS,
    (404, b"", Refused, "not_found"),
    (408, b"", Retryable, "x_trouble"),
    (409, b"", Retryable, "x_trouble"),
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
        client.create_post(Post(text="hello"))
    assert (type(caught.value), caught.value.code) == (kind, code)
    assert caught.value.__cause__ is not None
    assert [window.name for window in caught.value.rates] == ["24h_user"]
    assert bool(caught.value.fix) or (kind is not Fatal and code != "not_from_x")
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
        client.create_post(Post(text="hello"))
    assert (caught.value.scope, caught.value.until) == ("account", None)


@pytest.mark.parametrize("status", [302, 400, 401, 402, 403, 404, 405, 425, 429, 451, 499])
def test_a_refusal_that_is_not_xs_own_says_where_to_look(x: ScriptedX, client: XClient, status: int) -> None:
    x.answers(status, b"<html>Not here</html>")
    with pytest.raises(OutcomeUnknown) as caught:
        client.create_post(Post(text="hello"))
    assert "X_API_BASE_URL" in caught.value.line
    assert "proxy" in caught.value.line


def test_a_read_of_an_address_that_is_not_xs_says_where_to_look(x: ScriptedX, client: XClient) -> None:
    x.answers(404, b"<html>nginx</html>")
    with pytest.raises(Refused, match="404") as caught:
        client.me()
    assert "X_API_BASE_URL" in caught.value.fix


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
    x.answers(400, problem("One is wrong.") | {"errors": [{"message": "it is text"}]})
    with pytest.raises(Refused, match=r"One is wrong\.; it is text"):
        client.create_post(Post(text="hello"))


def test_what_x_says_can_be_shown_and_kept(x: ScriptedX, client: XClient) -> None:
    x.answers(400, problem("Half a\ud800 pair, a\0 nul and\n a \x1b[2Jcommand."))
    with pytest.raises(Refused) as caught:
        client.create_post(Post(text="hello"))
    assert str(caught.value).endswith(
        "Half a\N{REPLACEMENT CHARACTER} pair, a\N{REPLACEMENT CHARACTER} nul "
        "and a \N{REPLACEMENT CHARACTER}[2Jcommand."
    )


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
    x.answers(429, body or blank(429, title="Too Many Requests"), **headers)
    with pytest.raises(Retryable) as caught:
        client.create_post(Post(text="hello"))
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
