"""A cache that can only help: it never fails, and never makes anyone wait for long."""

from __future__ import annotations

import queue
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as WaitedTooLong
from typing import Any, Protocol

# What all calls within a few seconds may wait together: well under the 50 ms that a tick may lose.
PATIENCE_SECONDS = 0.04
PATIENCE_WINDOW_SECONDS = 5.0
LEAVE_ALONE_SECONDS = 30.0
SERVER_TIMEOUT_SECONDS = 1.0
MOST_ENTRIES = 512


class Warn(Protocol):
    """Tells an operator."""

    def __call__(self, event: str, **facts: object) -> object:
        """Logs a warning."""
        ...


class MemoryCache:
    """Keeps the newest entries in this process."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._entries: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> bytes | None:
        """The value, or None when it isn't there or has run out."""
        with self._lock:
            until, value = self._entries.get(key, (0.0, b""))
            if until <= self._seconds():
                self._entries.pop(key, None)
                return None
            return value

    def put(self, key: str, value: bytes, *, seconds: int) -> None:
        """Keeps the value for so many seconds."""
        with self._lock:
            self._entries[key] = (self._seconds() + seconds, value)
            self._entries.move_to_end(key)
            while len(self._entries) > MOST_ENTRIES:
                self._entries.popitem(last=False)

    def close(self) -> None:
        """Nothing to give back."""


class RedisCache:
    """Redis behind a thread of its own, so that not even a hanging name look-up holds anyone up.

    While Redis is slow or gone, the in-process cache serves alone, and Redis is tried again after
    half a minute.
    """

    def __init__(self, url: str, *, seconds: Callable[[], float], warn: Warn, prefix: str = "bot:") -> None:
        self._url = url
        self._seconds = seconds
        self._warn = warn
        self._prefix = prefix
        self._memory = MemoryCache(seconds)
        self._left_alone_until = 0.0
        self._telling = threading.Lock()
        self._window_began = 0.0
        self._waited = 0.0
        self._jobs: queue.SimpleQueue[tuple[Future[Any], Callable[[Any], Any]] | None] = queue.SimpleQueue()
        self._busy = threading.Event()
        self._undelivered: set[str] = set()
        threading.Thread(target=self._work, name="redis", daemon=True).start()

    def ping(self, *, patience: float = SERVER_TIMEOUT_SECONDS) -> str | None:
        """Asks at start-up; returns what is wrong, None when Redis answers."""
        try:
            self._submit(lambda client: client.ping()).result(timeout=patience)
        except WaitedTooLong:
            self._leave_alone("no answer in time")
            return "no answer in time"
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a convenience, work goes on
            self._leave_alone(_brief(error))
            return _brief(error)
        return None

    def get(self, key: str) -> bytes | None:
        """The newest value: from Redis, else from this process, else None."""
        if key in self._undelivered:
            # Redis would answer with what was there before.
            return self._memory.get(key)
        found = self._ask(lambda client: client.get(self._prefix + key))
        return found if isinstance(found, bytes) else self._memory.get(key)

    def put(self, key: str, value: bytes, *, seconds: int) -> None:
        """Keeps the value here, and in Redis without waiting for it."""
        self._memory.put(key, value, seconds=seconds)
        self._undelivered.add(key)
        if self._seconds() < self._left_alone_until:
            return

        def deliver(client: Any) -> None:
            client.set(self._prefix + key, value, ex=seconds)
            if self._memory.get(key) == value:
                self._undelivered.discard(key)

        self._submit(deliver).add_done_callback(self._delivered)

    def close(self) -> None:
        """Lets the thread end."""
        self._jobs.put(None)

    def _ask(self, job: Callable[[Any], Any]) -> object:
        now = self._seconds()
        if now - self._window_began > PATIENCE_WINDOW_SECONDS:
            self._window_began, self._waited = now, 0.0
        patience = PATIENCE_SECONDS - self._waited
        if now < self._left_alone_until or self._busy.is_set() or patience <= 0:
            return None
        try:
            return self._submit(job).result(timeout=patience)
        except WaitedTooLong:
            self._leave_alone("no answer in time")
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a convenience, work goes on
            self._leave_alone(_brief(error))
        finally:
            self._waited += self._seconds() - now
        return None

    def _delivered(self, delivery: Future[Any]) -> None:
        """Hears how a value's way to Redis ended: nobody waits for it."""
        error = delivery.exception()
        if error is not None:
            self._leave_alone(_brief(error))

    def _leave_alone(self, why: str) -> None:
        """Does without Redis for a while, and says so once."""
        with self._telling:
            if self._seconds() < self._left_alone_until:
                return
            self._left_alone_until = self._seconds() + LEAVE_ALONE_SECONDS
        self._warn(
            "redis_unavailable",
            error=why,
            effect="slower, nothing else changes",
            fix="start Redis, correct REDIS_URL, or unset it",
        )

    def _submit(self, job: Callable[[Any], Any]) -> Future[Any]:
        answer: Future[Any] = Future()
        self._jobs.put((answer, job))
        return answer

    def _work(self) -> None:
        client = None
        while (taken := self._jobs.get()) is not None:
            answer, job = taken
            self._busy.set()
            found, failed = None, None
            try:
                client = client or _connect(self._url)
                found = job(client)
            except Exception as error:  # noqa: BLE001 - handed to whoever asked
                failed = error
            # Whoever hears the answer may ask again at once, and must find nobody busy.
            self._busy.clear()
            if failed is None:
                answer.set_result(found)
            else:
                answer.set_exception(failed)
        if client is not None:
            client.close()


def _connect(url: str) -> Any:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    try:
        return redis.Redis.from_url(
            url,
            socket_timeout=SERVER_TIMEOUT_SECONDS,
            socket_connect_timeout=SERVER_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError:
        # What it says may quote a password.
        raise ValueError("REDIS_URL can't be read as an address") from None


def _brief(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
