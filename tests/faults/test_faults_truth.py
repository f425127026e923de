"""The judge of all fault tests sees what it is there to see."""

from __future__ import annotations

import pytest

from tests.faults.rig import Rig


@pytest.fixture
def posted(rig: Rig) -> Rig:
    """An account with a thread of three that is live as its rows say."""
    rig.start()
    rig.wait_rest(rig.add_slot(parts=3))
    assert rig.problems() == []
    return rig


def test_every_disagreement_is_seen(posted: Rig) -> None:
    first, second, third = posted.tweets()
    (slot,) = posted.select("SELECT id FROM posting_schedule")
    breaks = {
        "times": "",
        "in no row": "",
        "still unknown": f"UPDATE tweets SET status = 'unknown' WHERE id = '{first['id']}'",
        "is posted as 1": f"UPDATE tweets SET x_tweet_id = '1' WHERE id = '{third['id']}'",
        "is failed for": f"UPDATE tweets SET status = 'failed', reason = 'x' WHERE id = '{second['id']}'",
        "the ledger's posts": "UPDATE api_calls SET state = 'unknown' WHERE kind = 'post'",
        "is still claimed": f"UPDATE posting_schedule SET status = 'claimed' WHERE id = '{slot['id']}'",
        "a daily row differs": "ALTER TABLE api_calls DISABLE TRIGGER keep_daily_rows; "
        "UPDATE api_calls SET units = units + 1 WHERE kind = 'read'; "
        "DELETE FROM api_calls WHERE id = (SELECT id FROM api_calls WHERE kind = 'post' LIMIT 1)",
    }
    posted.x.add_post(first["text"])
    posted.x.add_post("Nobody's words")
    for told, statement in breaks.items():
        if statement:
            posted.execute(statement)
        assert any(told in problem for problem in posted.problems()), (told, posted.problems())


def test_a_lost_post_is_seen(posted: Rig) -> None:
    posted.x.delete_post(posted.x.posts()[-1].id)

    assert any("X has None" in problem for problem in posted.problems())


def test_a_wrong_answer_is_seen(posted: Rig) -> None:
    first, second, third = posted.tweets()
    posted.execute(
        "UPDATE tweets SET part = part + 10 WHERE thread_id = :thread AND part > 1", thread=first["id"]
    )
    posted.execute("UPDATE tweets SET part = 3 WHERE id = :id", id=second["id"])
    posted.execute("UPDATE tweets SET part = 2 WHERE id = :id", id=third["id"])

    assert sum("answers" in problem for problem in posted.problems()) == 2
