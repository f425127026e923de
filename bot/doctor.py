"""Doctor: every part checked on its own, each with its mend."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from email.utils import parsedate_to_datetime

from bot.bootstrap import Bot
from bot.core.errors import BotError, Fatal
from bot.core.health import Check
from bot.core.model import Profile
from bot.engine.reports import report_usage
from bot.engine.spending.limits_agent import OWNS_APP
from bot.redaction import Redaction
from bot.store.schema import (
    HEAD,
    UPGRADE,
    UPSERT_TARGETS,
    missing_constraints,
    missing_tables,
    revision,
)

CLOCK_TOLERANCE_SECONDS = 60
CLOCK_SECONDS = 5.0


def examine(bot: Bot) -> Iterator[Check]:
    """Checks one part after another; a part that breaks is a failed check, never an end."""
    for name, check in _CHECKS.items():
        try:
            yield check(bot)
        except BotError as error:
            yield Check(name=name, status="fail", detail=str(error), fix=error.fix or None)
        except Exception as error:  # noqa: BLE001 - the other parts are checked whatever breaks one
            yield Check(name=name, status="fail", detail=f"the check broke: {type(error).__name__}: {error}")


def failed_database(error: BotError) -> Check:
    """The check of a database that can't be opened at all."""
    return Check(name="database", status="fail", detail=str(error), fix=error.fix or None)


def _database(bot: Bot) -> Check:
    bot.manager.require_writable()
    return Check(
        name="database", status="ok", detail=f"{bot.manager.place} answers in {bot.manager.ping():.0f} ms"
    )


def _schema(bot: Bot) -> Check:
    found, missing = revision(bot.manager), missing_tables(bot.manager)
    if found != HEAD:
        return Check(
            name="schema",
            status="fail",
            detail=f"revision {found or 'none'}, this version needs {HEAD}",
            fix=UPGRADE,
        )
    if missing:
        return Check(
            name="schema",
            status="fail",
            detail=f"missing: {', '.join(missing)}",
            fix="give the tables their names back, or restore them from a backup; on an empty "
            "database: alembic downgrade base, then alembic upgrade head",
        )
    return Check(name="schema", status="ok", detail=f"revision {found}")


def _constraints(bot: Bot) -> Check:
    gone = sorted(set(UPSERT_TARGETS) & set(missing_tables(bot.manager)))
    if gone:
        return Check(
            name="constraints", status="fail", detail=f"tables are missing: {', '.join(gone)}", fix=UPGRADE
        )
    missing = missing_constraints(bot.manager)
    if missing:
        return Check(
            name="constraints",
            status="fail",
            detail=f"no unique constraint behind: {'; '.join(missing)}",
            fix="; ".join(_add_constraint(one) for one in missing),
        )
    return Check(name="constraints", status="ok", detail="every upsert has its unique constraint")


def _usage(bot: Bot) -> Check:
    profile = bot.known_profile()
    with bot.manager.transaction() as tx:
        verdict_limits = bot.limits.limits(tx, profile.id if profile else None)
        usage = bot.limits.usage(tx, profile.id if profile else None, bot.clock.now())
    used = sum(entry.units for entry in usage.posts)
    cap = "no cap" if verdict_limits.posts_24h is None else f"of {verdict_limits.posts_24h}"
    drift = [seen for seen in usage.seen if seen.drift]
    if drift:
        more = ", ".join(f"{one.drift} of {one.endpoint} ({one.window.name})" for one in drift)
        posts = max((one.drift for one in drift if not one.endpoint.startswith("GET ")), default=0)
        reads = "READS" if any(one.endpoint.startswith("GET ") for one in drift) else 0
        return Check(
            name="usage",
            status="warn",
            detail=f"X counts more than the ledger: {more}",
            fix=f"other programs use these keys: record it with SELECT track_twitter_usage({posts}, {reads})",
        )
    detail = f"{used} {cap} posts in 24 h, {usage.reads_month} reads this month"
    return Check(name="usage", status="ok", detail=detail)


def _redis(bot: Bot) -> Check:
    from bot.store.cache import RedisCache

    if not isinstance(bot.adapters.cache, RedisCache):
        return Check(name="redis", status="ok", detail="REDIS_URL is not set: an in-process cache is used")
    wrong = bot.adapters.cache.ping()
    if wrong is not None:
        return Check(
            name="redis",
            status="warn",
            detail=f"no answer ({wrong}): slower, nothing else changes",
            fix="start Redis, correct REDIS_URL, or unset it",
        )
    return Check(name="redis", status="ok", detail="answers")


def _x_keys(bot: Bot) -> Check:
    """Asks X, unless the account is known already: a look at one's own account costs money."""
    missing = [name.upper() for name, value in bot.accounts.x_keys.items() if not value]
    if missing and bot.accounts.saved(None) is not None:
        return Check(name="x_keys", status="ok", detail="none in the environment: accounts run on saved keys")
    if missing:
        return Check(
            name="x_keys",
            status="warn" if bot.settings.bot_mode == "dry-run" else "fail",
            detail=f"not set: {', '.join('X_' + name for name in missing)}",
            fix="create them at developer.x.com with Read and write permission, and set all four",
        )
    known = bot.known_profile()
    if known is not None and (refused := _refused(bot, known)) is not None:
        return Check(
            name="x_keys",
            status="fail",
            detail=f"X refused ({refused}) not long ago",
            fix="correct X_API_KEY, X_API_SECRET, X_ACCESS_TOKEN and X_ACCESS_TOKEN_SECRET or the app's "
            "permission, then: python -m bot resume",
        )
    profile: Profile = bot.identify()
    how = "as remembered, X was not asked again" if known is not None and known.x_user_id else "X says so"
    return Check(name="x_keys", status="ok", detail=f"they are @{profile.handle.removeprefix('@')}'s ({how})")


def _saved_keys(bot: Bot) -> Check:
    """Whether the secret key reads what is saved; X is not asked."""
    with bot.manager.transaction() as tx:
        saved = [(profile, keys) for profile, keys in tx.profiles.with_keys() if keys is not None]
    unreadable = []
    for profile, keys in saved:
        try:
            bot.accounts.cipher.decrypt(keys)
        except Fatal as error:
            unreadable.append(f"@{profile.handle.removeprefix('@')}")
            fix = error.fix
    if unreadable:
        return Check(
            name="saved_keys",
            status="fail",
            detail=f"no key of BOT_SECRET_KEY reads those of {', '.join(unreadable)}",
            fix=fix,
        )
    return Check(name="saved_keys", status="ok", detail=f"{len(saved)} saved")


def _refused(bot: Bot, profile: Profile) -> str | None:
    """What X's refusal of these keys said, while it keeps calls waiting."""
    report = report_usage(bot.manager, bot.limits, profile.id, now=bot.clock.now())
    return next((one.window for one in report.gauges if one.name == "x_keys" and one.closed), None)


def _model(bot: Bot) -> Check:
    if not bot.settings.openai_api_key.get_secret_value():
        return Check(
            name="language_model",
            status="warn",
            detail="OPENAI_API_KEY is not set: the offline writer quotes the sources",
            fix="set OPENAI_API_KEY, and OPENAI_BASE_URL for another server",
        )
    from bot.writer.openai_writer import OpenAIWriter

    if isinstance(bot.adapters.writer, OpenAIWriter):
        bot.adapters.writer.check()
    return Check(name="language_model", status="ok", detail=f"{bot.settings.openai_model} answers")


def _sources(bot: Bot) -> Check:
    reading = bot.adapters.sources.read()
    if reading.problems:
        return Check(
            name="sources",
            status="warn",
            detail=f"{len(reading.items)} items; {'; '.join(reading.problems)}",
            fix="correct BOT_SOURCES",
        )
    return Check(name="sources", status="ok", detail=f"{len(reading.items)} items to write from")


def _clock(bot: Bot) -> Check:
    """Compares with X's clock: OAuth refuses signatures of a clock that is minutes off."""
    import requests

    from bot.x.connection import Lines

    place = Redaction(())(bot.adapters.x_base_url)
    try:
        with closing(Lines(CLOCK_SECONDS)) as lines, requests.Session() as session, lines.call():
            session.mount(bot.adapters.x_base_url, lines)
            answer = session.head(bot.adapters.x_base_url, timeout=CLOCK_SECONDS, allow_redirects=False)
        theirs: datetime = parsedate_to_datetime(answer.headers["Date"])
    except (requests.RequestException, KeyError, ValueError):
        return Check(
            name="clock",
            status="warn",
            detail=f"{place} gives no time to compare with",
            fix="check the network and X_API_BASE_URL",
        )
    off = abs((bot.clock.now() - theirs).total_seconds())
    if off > CLOCK_TOLERANCE_SECONDS:
        return Check(
            name="clock",
            status="fail",
            detail=f"{off:.0f} s off X's clock",
            fix="set the machine's clock by NTP",
        )
    return Check(name="clock", status="ok", detail=f"within {max(1, round(off))} s of X's")


def _label(bot: Bot) -> Check:
    with bot.manager.transaction() as tx:
        attested = tx.config.get("automated_label")
    if attested:
        return Check(name="automated_label", status="ok", detail="the operator attests the label")
    return Check(
        name="automated_label",
        status="warn",
        detail="X asks bots to carry the Automated label, and no API shows whether it is set",
        fix="set it in X's settings (Your account > Automation), name the operator in the profile, then: "
        + _attest(bot, "automated_label"),
    )


def _owns_app(bot: Bot) -> Check:
    with bot.manager.transaction() as tx:
        attested = tx.config.get(OWNS_APP) is True
        price = bot.limits.prices(tx).own_post_read
    booked = "no price is known" if price is None else f"${price:f} is booked for each"
    if attested:
        detail = f"the operator attests that this account owns the developer app: own posts read, {booked}"
        return Check(name="owns_app", status="ok", detail=detail)
    return Check(
        name="owns_app",
        status="warn",
        detail="X reads own posts for less only when the account owns the developer app, and no API shows "
        f"whether it does: {booked}",
        fix=f"if it does: {_attest(bot, OWNS_APP)}",
    )


def _attest(bot: Bot, name: str) -> str:
    return f"python -m bot doctor --attest {name}{' --sandbox' if bot.sandbox else ''}"


def _add_constraint(missing: str) -> str:
    table, columns = re.fullmatch(r"(\w+) \((.*)\)", missing).groups()  # type: ignore[union-attr]  # our own form
    name = "_".join(["uq", table, *columns.split(", ")])
    return f"ALTER TABLE {table} ADD CONSTRAINT {name} UNIQUE ({columns})"


_CHECKS: dict[str, Callable[[Bot], Check]] = {
    "database": _database,
    "schema": _schema,
    "constraints": _constraints,
    "usage": _usage,
    "redis": _redis,
    "clock": _clock,
    "x_keys": _x_keys,
    "saved_keys": _saved_keys,
    "language_model": _model,
    "sources": _sources,
    "automated_label": _label,
    "owns_app": _owns_app,
}
