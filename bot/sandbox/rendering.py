"""Posts, users and media as X's answers show them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from bot.sandbox import texts
from bot.sandbox.answers import field_error, invalid
from bot.sandbox.model import Account, Media, Post, stamp
from bot.sandbox.state import State

PRIVATE_METRICS_AGE: Final = timedelta(days=30)
REFERENCED: Final = {"referenced_tweets", "referenced_posts"}
POST_FIELDS: Final = REFERENCED | {
    "article",
    "attachments",
    "author_id",
    "card_uri",
    "community_id",
    "context_annotations",
    "conversation_id",
    "created_at",
    "display_text_range",
    "edit_controls",
    "edit_history_tweet_ids",
    "entities",
    "geo",
    "id",
    "in_reply_to_user_id",
    "lang",
    "made_with_ai",
    "media_metadata",
    "non_public_metrics",
    "note_tweet",
    "organic_metrics",
    "paid_partnership",
    "possibly_sensitive",
    "promoted_metrics",
    "public_metrics",
    "reply_settings",
    "scopes",
    "source",
    "text",
    "withheld",
}
EXPANSIONS: Final = {
    "attachments.media_keys",
    "attachments.poll_ids",
    "author_id",
    "edit_history_tweet_ids",
    "entities.mentions.username",
    "in_reply_to_user_id",
    "referenced_tweets.id",
    "referenced_tweets.id.author_id",
    "referenced_posts.id",
    "referenced_posts.id.author_id",
}
USER_FIELDS: Final = {
    "created_at",
    "description",
    "id",
    "name",
    "protected",
    "public_metrics",
    "username",
    "verified",
}
FIELD_PARAMETERS: Final = {
    "tweet.fields",
    "post.fields",
    "expansions",
    "user.fields",
    "media.fields",
    "poll.fields",
    "place.fields",
}

_PUBLIC: Final = (
    "retweet_count",
    "reply_count",
    "like_count",
    "quote_count",
    "bookmark_count",
    "impression_count",
)
_PRIVATE: Final[Mapping[str, tuple[str, ...]]] = {
    "non_public_metrics": ("impression_count", "url_link_clicks", "user_profile_clicks", "engagements"),
    "organic_metrics": (
        "impression_count",
        "like_count",
        "reply_count",
        "retweet_count",
        "url_link_clicks",
        "user_profile_clicks",
    ),
}


@dataclass(frozen=True, kw_only=True)
class Wish:
    """Which fields and expansions a call asked for."""

    post_fields: frozenset[str] = frozenset()
    expansions: frozenset[str] = frozenset()
    user_fields: frozenset[str] = frozenset()


def read_wish(values: Mapping[str, str]) -> Wish:
    """The wish in a call's query.

    Raises:
        Refusal: A field or expansion is unknown.
    """
    names = ("tweet.fields", "post.fields")
    post_fields = frozenset[str]().union(*(_names(values, name, POST_FIELDS) for name in names))
    return Wish(
        post_fields=post_fields,
        expansions=_names(values, "expansions", EXPANSIONS),
        user_fields=_names(values, "user.fields", USER_FIELDS),
    )


def _names(values: Mapping[str, str], parameter: str, allowed: set[str]) -> frozenset[str]:
    names = frozenset(values[parameter].split(",")) if parameter in values else frozenset[str]()
    for name in names - allowed:
        raise invalid(
            parameter, name, f"The `{parameter}` query parameter value [{name}] is not one of the known ones"
        )
    return names


def post_text(state: State, post: Post) -> texts.Shown:
    """A post's text as timelines show it."""
    author = state.accounts[post.account_id]
    attached = [
        (f"https://x.com/{author.username}/status/{post.id}/photo/{number}", state.media[media_id].key)
        for number, media_id in enumerate(post.media_ids, start=1)
        if media_id in state.media
    ]
    return texts.show(post.text, slug=lambda number: state.slug(post.id, number), attached=attached)


def render_post(state: State, post: Post, wish: Wish) -> dict[str, Any]:
    """One post with the fields that were wished for, metrics of the private kinds excepted."""
    shown = post_text(state, post)
    row: dict[str, Any] = {"id": post.id, "text": shown.text, "edit_history_tweet_ids": [post.id]}
    optional = _optional_fields(state, post, shown)
    if wish.post_fields & REFERENCED:
        optional[state.referenced_key] = _references(post)
    wanted = wish.post_fields | {state.referenced_key} | {name.partition(".")[0] for name in wish.expansions}
    row.update(
        (name, value) for name, value in optional.items() if name in wanted and value not in (None, [], {})
    )
    return row


def _optional_fields(state: State, post: Post, shown: texts.Shown) -> dict[str, Any]:
    parent = state.posts.get(post.reply_to or "")
    attachments: dict[str, list[str]] = {}
    if post.media_ids:
        attachments["media_keys"] = [state.media[name].key for name in post.media_ids if name in state.media]
    if post.poll_options:
        attachments["poll_ids"] = [post.id]
    entities: dict[str, Any] = {}
    if shown.urls:
        entities["urls"] = list(shown.urls)
    mentioned = texts.mention_entities(shown.text)
    if mentioned:
        entities["mentions"] = mentioned
    return {
        "attachments": attachments,
        "author_id": post.account_id,
        "community_id": post.community_id,
        "conversation_id": conversation(state, post),
        "created_at": stamp(post.created_at),
        "entities": entities,
        "in_reply_to_user_id": None if parent is None else parent.account_id,
        "lang": "en",
        "made_with_ai": post.made_with_ai,
        "paid_partnership": post.paid_partnership,
        "possibly_sensitive": False,
        "public_metrics": {name: state.metrics[post.id][name] for name in _PUBLIC},
        "reply_settings": post.reply_settings or "everyone",
    }


def conversation(state: State, post: Post) -> str:
    """The id of the post that a thread began with."""
    while post.reply_to is not None and post.reply_to in state.posts:
        post = state.posts[post.reply_to]
    return post.id


def _references(post: Post) -> list[dict[str, str]]:
    pairs = (("replied_to", post.reply_to), ("quoted", post.quote_of))
    return [{"type": kind, "id": target} for kind, target in pairs if target is not None]


def render_posts(state: State, posts: list[Post], wish: Wish, caller: str | None) -> dict[str, Any]:
    """A list of posts as the body of a look-up: data, includes and errors, each only when it holds something.

    Args:
        state: The sandbox.
        posts: What was found.
        wish: What was asked for.
        caller: The calling account's id; None for the app itself.
    """
    data, errors = [], []
    for post in posts:
        row = render_post(state, post, wish)
        private = {name: counts for name, counts in _PRIVATE.items() if name in wish.post_fields}
        if caller == post.account_id and state.now() - post.created_at < PRIVATE_METRICS_AGE:
            for name, counts in private.items():
                row[name] = {count: state.metrics[post.id][count] for count in counts}
        else:
            errors += [field_error(name, post.id) for name in private]
        data.append(row)
    body = {"data": data, "includes": _includes(state, posts, wish), "errors": errors}
    return {name: value for name, value in body.items() if value}


def _includes(state: State, posts: list[Post], wish: Wish) -> dict[str, Any]:
    includes: dict[str, Any] = {}
    targets = [reference["id"] for post in posts for reference in _references(post)]
    referenced = [state.posts[target] for target in dict.fromkeys(targets) if target in state.posts]
    authors = {post.account_id for post in posts} if "author_id" in wish.expansions else set()
    if wish.expansions & {f"{name}.id.author_id" for name in REFERENCED}:
        authors |= {post.account_id for post in referenced}
    if authors:
        includes["users"] = [render_user(state.accounts[user], wish.user_fields) for user in sorted(authors)]
    if wish.expansions & {f"{name}.id" for name in REFERENCED}:
        shown = [post for post in referenced if state.visible(post)]
        if shown:
            includes["tweets"] = [render_post(state, post, wish) for post in shown]
    if "attachments.media_keys" in wish.expansions:
        names = dict.fromkeys(name for post in posts for name in post.media_ids if name in state.media)
        if names:
            includes["media"] = [render_media(state.media[name]) for name in names]
    return includes


def render_user(account: Account, fields: frozenset[str]) -> dict[str, Any]:
    """One user."""
    optional = {
        "created_at": stamp(account.created_at),
        "description": "",
        "protected": False,
        "public_metrics": {"followers_count": 0, "following_count": 0, "tweet_count": 0, "listed_count": 0},
        "verified": False,
    }
    row = {"id": account.user_id, "name": account.name, "username": account.username}
    return row | {name: value for name, value in optional.items() if name in fields}


def render_media(media: Media) -> dict[str, Any]:
    """One media of an `includes` list."""
    kind = {"tweet_image": "photo", "tweet_gif": "animated_gif", "tweet_video": "video"}[media.category]
    row = {"media_key": media.key, "type": kind}
    return row if media.alt_text is None else row | {"alt_text": media.alt_text}
