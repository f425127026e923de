"""A strict local X API v2 over real HTTP, with faults to arm. It imports nothing else of bot."""

from __future__ import annotations

from bot.sandbox.api import Sandbox
from bot.sandbox.client import SandboxControl
from bot.sandbox.model import Account, ControlError, Keys, Post

__all__ = ["Account", "ControlError", "Keys", "Post", "Sandbox", "SandboxControl"]
