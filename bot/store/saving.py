"""Why a row's next state was not written."""

from __future__ import annotations

from enum import StrEnum

from bot.core.errors import BotError, ForbiddenTransition, RowChanged
from bot.core.states import check_transition


def why_not_saved(current: StrEnum, wanted: StrEnum) -> BotError:
    """What to raise when no row took the next state.

    Args:
        current: the state that the row has.
        wanted: the state that it was to be given, or to keep.
    """
    try:
        if current is not wanted:
            check_transition(current, wanted)
    except ForbiddenTransition as error:
        return error
    return RowChanged(f"the row was not locked, or was saved since: it is {current}")
