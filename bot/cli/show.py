"""Answers for people: short pages for a terminal, also a narrow one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING

from rich.markup import escape

from bot.cli.terminal import printable
from bot.core.codes import Ruling
from bot.core.content.guard import Judgement
from bot.core.model import DecisionRecord, Profile, Tweet
from bot.core.spending.limits import Gauge, next_month
from bot.engine.outcomes import Outcome, OutcomeKind
from bot.views.plain import OF_MONEY, money

if TYPE_CHECKING:  # `check` answers without a database, and so without loading what speaks to one
    from rich.console import Console

    from bot.core.health import Check
    from bot.engine.posting.auditing import Audit
    from bot.engine.reports import StatusReport, UsageReport

BAR_WIDTH = 20
_TOLD_IN_SECONDS = 120
_NOT_KEPT = "not kept: it isn't posted later; with --queue the worker posts it as soon as it may"
_COLOURS: Mapping[str, str] = {
    **dict.fromkeys((Ruling.ALLOW, Ruling.ADOPTED), "green"),
    **dict.fromkeys((Ruling.WAIT, Ruling.UNKNOWN, Ruling.RETRY, Ruling.EXPIRED, Ruling.DIFFERS), "yellow"),
    **dict.fromkeys((Ruling.FAILED, Ruling.REFUSED), "red"),
}
NARROW = 70


def show_outcome(
    console: Console, outcome: Outcome, profile: Profile | None, *, zone: tzinfo, room: str | None = None
) -> None:
    """What became of a wish to post; `room` is what a limit has left after it."""
    words = {
        OutcomeKind.POSTED: ("green", "posted"),
        OutcomeKind.DRY_RUN: ("cyan", "dry run: nothing was sent"),
        OutcomeKind.AWAITING_APPROVAL: ("cyan", "written, and waits for your approval"),
        OutcomeKind.WAITING: ("yellow", "not posted now"),
        OutcomeKind.REJECTED: ("yellow", "not posted: the guard refuses the text"),
        OutcomeKind.UNKNOWN: (
            "yellow",
            "outcome unknown: it is settled from the timeline, nothing is sent twice",
        ),
        OutcomeKind.FAILED: ("red", "not posted"),
    }
    colour, line = words[outcome.kind]
    who = f" as @{profile.handle.removeprefix('@')}" if profile and outcome.kind is OutcomeKind.POSTED else ""
    console.print(f"[{colour}]{line}{who}[/]")
    parts = outcome.parts or ((outcome.tweet,) if outcome.tweet is not None else ())
    for tweet in parts:
        console.print(printable(tweet.text), markup=False, highlight=False)
        if tweet.x_tweet_id:
            console.print(f"id    {tweet.x_tweet_id}", style="dim", highlight=False)
    if parts:
        _show_origin(console, parts[0])
    if outcome.detail:
        console.print(f"why   {outcome.detail}", markup=False, highlight=False)
    elif room or outcome.verdict is not None:
        said = room or (outcome.verdict.reason if outcome.verdict else "")
        console.print(f"room  {said}", markup=False, highlight=False, style="dim")
    if outcome.verdict is not None and outcome.verdict.until is not None:
        console.print(f"until {moment(outcome.verdict.until, zone)}", highlight=False)
    if outcome.kind is OutcomeKind.WAITING:
        later = "queued: the worker posts it as soon as it may" if outcome.queued else _NOT_KEPT
        console.print(f"later {later}", markup=False, highlight=False)
    if outcome.cost_usd:
        console.print(f"cost  ${money(outcome.cost_usd)}", style="dim", highlight=False)


def _show_origin(console: Console, tweet: Tweet) -> None:
    if tweet.source is not None:
        console.print(f"from  {tweet.source.title} ({tweet.source.location})", markup=False, style="dim")
    if tweet.writer:
        words = "offline writer (no OPENAI_API_KEY)" if tweet.writer == "offline" else tweet.writer
        console.print(f"by    {words}", markup=False, style="dim")


def show_usage(console: Console, report: UsageReport, *, zone: tzinfo) -> None:
    """A bar a limit."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("limit", no_wrap=True)
    if console.width >= NARROW:
        table.add_column("")
    table.add_column("used", justify="right", no_wrap=True)
    table.add_column("resets")
    names = Counter(gauge.name for gauge in report.gauges)
    for gauge in report.gauges:
        # The account's pace and that of all have one name.
        name = gauge.name if names[gauge.name] == 1 else f"{gauge.name} ({gauge.scope.value})"
        cells = [name, _used(gauge), moment(gauge.resets_at, zone) if gauge.resets_at else "-"]
        if console.width >= NARROW:
            cells.insert(1, _bar(gauge))
        table.add_row(*cells)
    console.print(table)
    end, ahead = next_month(report.as_of), report.forecast
    console.print(
        f"this month ${money(report.usage.cost_month)} spent, ${money(ahead.cost_usd)} by {end:%d %b} "
        f"if the plan goes on ({ahead.posts_left} more posts, {ahead.days_left} days left)",
        highlight=False,
    )
    for window, units in report.drift.items():
        console.print(
            f"[yellow]X counts {units} more of {window} than the ledger: other programs use these keys[/]"
        )


def show_status(console: Console, report: StatusReport, *, zone: tzinfo) -> None:
    """How the bot stands, on a few lines."""
    profile = report.profile
    if profile is None:
        console.print(
            "no profile yet: the first `run` or `run-once` makes it from the X keys", highlight=False
        )
        return
    reason = escape(profile.pause_reason or "by the operator")
    paused = f" [yellow]paused: {reason}[/]" if profile.paused else ""
    console.print(
        f"[bold]@{profile.handle.removeprefix('@')}[/]  {report.mode.value}{paused}", highlight=False
    )
    console.print(f"worker {_life(report, zone)}", highlight=False)
    if report.last_post and report.last_post.posted_at:
        console.print(f"last  {moment(report.last_post.posted_at, zone)}", highlight=False)
        console.print(f"      {report.last_post.text}", markup=False, highlight=False)
    else:
        console.print("last  nothing posted yet")
    console.print(
        f"next  {moment(report.next_slot.due_at, zone) if report.next_slot else 'no slot planned'}"
        + (f"  ({report.posts_per_day} a day)" if report.posts_per_day is not None else ""),
        highlight=False,
    )
    unknown = report.open.get("unknown", 0) + report.open.get("publishing", 0) - report.unseen
    if report.unseen:
        console.print(
            f"[yellow]{report.unseen} post(s) that X calls duplicates and does not show: counted, and looked "
            "for for a day[/]"
        )
    if unknown:
        console.print(f"[yellow]{unknown} outcome(s) unknown: `run` or `run-once` settles them[/]")
    others = {name: count for name, count in report.open.items() if name not in {"unknown", "publishing"}}
    if others:
        console.print(
            "open  " + ", ".join(f"{count} {name}" for name, count in others.items()), highlight=False
        )
    console.print(f"now   {report.verdict.verdict}: {report.verdict.reason}", markup=False, highlight=False)
    if report.verdict.until is not None:
        console.print(f"until {moment(report.verdict.until, zone)}", highlight=False)


def show_decisions(console: Console, decisions: Sequence[DecisionRecord], *, zone: tzinfo) -> None:
    """A table, newest first: when, what, verdict, because, until."""
    from rich.table import Table

    if not decisions:
        console.print("nothing was decided yet: `run` and `run-once` leave a row for each decision")
        return
    if console.width < NARROW:
        for one in decisions:
            until = f", until {one.until.astimezone(zone):%d %b %H:%M}" if one.until else ""
            when = f"{(one.last_at or one.at).astimezone(zone):%d %b %H:%M %Z}"
            console.print(f"{when} {one.kind} {_coloured(one.verdict)}{until}", highlight=False)
            console.print(f"  {one.reason}", markup=False, highlight=False)
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("when", "what", "verdict"):
        table.add_column(heading, no_wrap=True)
    table.add_column("because", ratio=1, overflow="fold")
    table.add_column("until", no_wrap=True)
    for one in decisions:
        times = f" (x{one.repeated})" if one.repeated > 1 else ""
        table.add_row(
            f"{(one.last_at or one.at).astimezone(zone):%d %b %H:%M:%S %Z}",
            one.kind,
            _coloured(one.verdict),
            escape(one.reason) + times,
            f"{one.until.astimezone(zone):%d %b %H:%M %Z}" if one.until else "",
        )
    console.print(table)


def show_reconciled(console: Console, unknown: int, found: Audit | None) -> None:
    """What stays unknown, and where X and the tables differ."""
    console.print(
        "[green]every outcome is known[/]" if not unknown else f"[yellow]{unknown} still unknown[/]"
    )
    if found is None:
        console.print(
            "[yellow]the timeline was not read: X could not be asked, or a limit was reached; see `why`[/]"
        )
        return
    findings = found.findings
    lines = {
        "deleted on X, and now here": found.deleted,
        "missing on X": [
            tweet.x_tweet_id for tweet in findings.missing if tweet.x_tweet_id not in found.deleted
        ],
        "on X, made elsewhere": findings.foreign,
        "edited on X": findings.edited,
    }
    if not any(lines.values()):
        console.print("X and the tables agree")
    for what, ids in lines.items():
        if ids:
            console.print(f"{len(ids)} {what}: {', '.join(str(one) for one in ids)}", highlight=False)


def show_judgement(console: Console, judgement: Judgement) -> None:
    """What the guard says of a text."""
    word = "[green]valid[/]" if judgement.valid else "[red]not valid[/]"
    console.print(f"{word}, weighted length {judgement.weighted_length} of 280", highlight=False)
    for problem in judgement.problems:
        console.print(f"  {problem.rule}: {problem.message}", markup=False, highlight=False)


def show_checks(console: Console, checks: Sequence[Check]) -> None:
    """A line a check, and its mend below it."""
    marks = {"ok": "[green]ok  [/]", "warn": "[yellow]warn[/]", "fail": "[red]fail[/]"}
    for check in checks:
        line = f"{marks[check.status]} [bold]{check.name}[/] {escape(check.detail)}"
        console.print(line, highlight=False)
        if check.fix and check.status != "ok":
            console.print(f"     mend: {check.fix}", markup=False, highlight=False, style="dim")


def moment(when: datetime, zone: tzinfo) -> str:
    """A moment for people: in their zone, to the minute."""
    return f"{when.astimezone(zone):%a %d %b %H:%M %Z}"


def _life(report: StatusReport, zone: tzinfo) -> str:
    """Whether a worker acts, since when, and in another mode than this command would."""
    worker, profile = report.worker, report.profile
    if worker.since is None:
        return "[yellow]none runs[/]"
    if not worker.alive and worker.silent_for is not None:
        seconds = int(worker.silent_for.total_seconds())
        silent = f"{seconds} s" if seconds < _TOLD_IN_SECONDS else f"{seconds // 60} min"
        return f"[yellow]no beat for {silent}[/], started {moment(worker.since, zone)}"
    other = f" in mode {profile.mode.value}" if profile and profile.mode is not report.mode else ""
    return f"alive since {moment(worker.since, zone)}{other}"


def _coloured(verdict: str) -> str:
    colour = _COLOURS.get(verdict)
    return f"[{colour}]{verdict}[/]" if colour else verdict


def _bar(gauge: Gauge) -> str:
    if not gauge.cap:
        return ""
    share = min(1.0, float(gauge.used / gauge.cap))
    full = round(share * BAR_WIDTH)
    colour = "red" if share >= 1 else "yellow" if share >= 0.8 else "green"  # noqa: PLR2004 - shares
    return f"[{colour}]{'█' * full}[/][dim]{'░' * (BAR_WIDTH - full)}[/]"


def _used(gauge: Gauge) -> str:
    written = money if gauge.name in OF_MONEY else "{:f}".format
    used = written(gauge.used)
    return f"{used} (no cap)" if gauge.cap is None else f"{used} of {written(gauge.cap)}"
