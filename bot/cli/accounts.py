"""`accounts`: keys of several X accounts."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from bot.cli.codes import DONE, FAILED
from bot.cli.terminal import console, progress
from bot.core.errors import SettingError
from bot.settings import Settings
from bot.x.keys import KEY_NAMES, variable

if TYPE_CHECKING:
    from bot.core.model import Profile
    from bot.keys import Saved, Trial

# Far more than four keys have.
_LONGEST_INPUT = 10_000
_SOURCES = {"environment": "the environment", "credentials": "saved", "none": "none"}


def accounts(settings: Settings, options: argparse.Namespace) -> int:
    """The action that was asked for."""
    return _ACTIONS[options.action](settings, options)


def new_key(options: argparse.Namespace) -> int:
    """A fresh value for `BOT_SECRET_KEY`; works whatever the settings are."""
    from bot.encryption import new_secret_key
    from bot.views.plain import to_json

    key = new_secret_key()
    sys.stdout.write((to_json({"key": key}) if options.json else key) + "\n")
    return DONE


def add(settings: Settings, options: argparse.Namespace) -> int:
    """Saves an account's keys, and makes its profile."""
    from bot.bootstrap import open_bot
    from bot.keys import ProfileWish, save_keys
    from bot.views.accounts import saved_json

    wish = ProfileWish(
        timezone=options.timezone,
        mode=options.mode,
        posts_per_day=options.posts_per_day,
        user=options.user,
    )
    with open_bot(settings, sandbox=options.sandbox, needs_x=True) as bot:
        bot.accounts.cipher.require()
        if options.sandbox and options.account is not None:
            keys = _of_the_local_x(options.account, bot.adapters.x_base_url, bot.accounts.x_keys)
        else:
            keys = _given_keys(settings, options)
        with progress(options) as say:
            say("asking X whose keys they are")
            saved = save_keys(bot, keys, wish)
    _answer(options, saved_json(saved.profile, saved.plan, replaced=saved.replaced), _told(saved))
    return DONE


def list_accounts(settings: Settings, options: argparse.Namespace) -> int:
    """Every profile, and where its keys come from."""
    from rich.markup import escape

    from bot.bootstrap import open_bot
    from bot.views.accounts import accounts_json
    from bot.views.plain import to_json

    with (
        open_bot(settings, sandbox=options.sandbox, needs_x=options.sandbox) as bot,
        bot.manager.transaction() as tx,
    ):
        found = [(profile, held.source.value) for profile, held in bot.accounts.held_keys(tx)]
    if options.json:
        sys.stdout.write(to_json(accounts_json(found)) + "\n")
        return DONE
    sources = _SOURCES | ({"environment": "the local X's own"} if options.sandbox else {})
    for profile, source in found:
        paused = f"  [yellow]paused: {escape(profile.pause_reason or 'by the operator')}[/]"
        console().print(
            f"[bold]{_name(profile)}[/]  {profile.mode.value}  id {profile.x_user_id or '-'}  "
            f"keys: {sources[source]}{paused if profile.paused else ''}",
            highlight=False,
        )
    if not found:
        sys.stdout.write("no account yet: add one, or let `run` make it from the environment's keys\n")
    return DONE


def remove(settings: Settings, options: argparse.Namespace) -> int:
    """Deletes an account's saved keys."""
    from bot.bootstrap import open_bot
    from bot.keys import remove_keys

    with open_bot(settings, sandbox=options.sandbox) as bot:
        profile = remove_keys(bot, options.HANDLE)
    kept = "its posts, plans and figures stay, and nothing is posted for it"
    _answer(options, {"profile": profile.handle, "removed": True}, f"{_name(profile)}: keys deleted; {kept}")
    return DONE


def test(settings: Settings, options: argparse.Namespace) -> int:
    """Asks X with each account's keys."""
    from bot.bootstrap import open_bot
    from bot.keys import try_keys
    from bot.views.plain import to_json

    with open_bot(settings, sandbox=options.sandbox, needs_x=True) as bot, progress(options) as say:
        say("asking X")
        trials = list(try_keys(bot, options.HANDLE))
    if options.json:
        shown = [
            {
                "profile": one.profile.handle,
                "keys": one.source.value,
                "ok": one.accepted,
                "detail": options.redact(one.detail),
            }
            for one in trials
        ]
        sys.stdout.write(to_json({"accounts": shown}) + "\n")
    for one in () if options.json else trials:
        _show_trial(options, one)
    if not trials and not options.json:
        sys.stdout.write("no account has keys yet: add one, or let `run` make it from the environment's\n")
    return DONE if all(one.accepted for one in trials) else FAILED


def rotate(settings: Settings, options: argparse.Namespace) -> int:
    """Encrypts all saved keys by the first secret key."""
    from bot.bootstrap import open_bot
    from bot.keys import rotate_keys

    with open_bot(settings, sandbox=options.sandbox) as bot:
        done = rotate_keys(bot)
    lines = [f"keys of {done.rotated} account(s) are encrypted by the first key of BOT_SECRET_KEY now"]
    lines += [f"{_name(one)}: no key of BOT_SECRET_KEY reads its keys" for one in done.unreadable]
    unreadable = [one.handle for one in done.unreadable]
    _answer(options, {"rotated": done.rotated, "unreadable": unreadable}, "\n".join(lines))
    return FAILED if done.unreadable else DONE


def _given_keys(settings: Settings, options: argparse.Namespace) -> Mapping[str, str]:
    """The four keys from where the call says: never from its arguments, which others can read.

    Raises:
        SettingError: some are missing, or are no keys.
    """
    if options.account is not None:
        raise SettingError("--account is for the sandbox", fix="add --sandbox")
    if options.from_env:
        settings.require_keys()
        return settings.x_keys
    keys = _asked() if sys.stdin.isatty() else _read()
    wrong = [variable(name) for name, key in keys.items() if not re.fullmatch(r"[!-~]+", key)]
    if wrong:
        raise SettingError(f"{', '.join(wrong)}: empty, or no key", fix="copy it again from developer.x.com")
    return keys


def _asked() -> dict[str, str]:
    from getpass import getpass

    return {name: getpass(f"{variable(name)}: ").strip() for name in KEY_NAMES}


def _read() -> dict[str, str]:
    try:
        lines = sys.stdin.buffer.read(_LONGEST_INPUT).decode().split()
    except UnicodeDecodeError:
        lines = []
    if len(lines) != len(KEY_NAMES):
        raise SettingError(
            f"standard input holds {len(lines)} keys, and four are needed, a line each: "
            + ", ".join(variable(name) for name in KEY_NAMES),
            fix="or take the environment's: --from-env",
        )
    return dict(zip(KEY_NAMES, lines, strict=True))


def _of_the_local_x(handle: str, base_url: str, keys: Mapping[str, str]) -> Mapping[str, str]:
    """Keys of an account of the local X, which is made there when there is none of that name.

    Raises:
        SettingError: X has no such names.
    """
    from bot.sandbox import ControlError, SandboxControl

    control, name = SandboxControl(base_url), handle.removeprefix("@")
    there = (one for one in control.state()["accounts"] if one["username"].lower() == name.lower())
    try:
        account = next(there, None) or control.add_account(name)
    except ControlError as error:
        raise SettingError(f"the local X makes no account @{name}: {error}") from error
    return {**keys, **{part: account[part] for part in ("access_token", "access_token_secret")}}


def _told(saved: Saved) -> str:
    what = "keys replaced" if saved.replaced else "keys saved"
    profile = saved.profile
    return (
        f"{_name(profile)}: {what}, encrypted; {saved.plan.posts_per_day} posts a day in {profile.timezone}, "
        f"mode {profile.mode.value}"
    )


def _show_trial(options: argparse.Namespace, one: Trial) -> None:
    word = "[green]ok  [/]" if one.accepted else "[red]fail[/]"
    shown = console()
    shown.print(f"{word} [bold]{_name(one.profile)}[/] ", end="", highlight=False)
    shown.print(options.redact(one.detail), markup=False, highlight=False)


def _answer(options: argparse.Namespace, told: Mapping[str, object], line: str) -> None:
    from bot.views.plain import to_json

    sys.stdout.write((to_json(told) if options.json else line) + "\n")


def _name(profile: Profile) -> str:
    return f"@{profile.handle.removeprefix('@')}"


_ACTIONS: Mapping[str, Callable[[Settings, argparse.Namespace], int]] = {
    "add": add,
    "list": list_accounts,
    "remove": remove,
    "test": test,
    "rotate": rotate,
}
