"""Where a host name leads, and whether that is a place on the public internet."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from bot.sources.entry import Unreadable

AddressInfo = tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_TRANSLATED = IPv6Network("64:ff9b::/96")  # NAT64: the last four bytes are an IPv4 address


def resolve(host: str, port: int, *, private: bool) -> list[AddressInfo]:
    """Returns the addresses of a host that may be connected to, as `socket.getaddrinfo` gives them.

    Names, decimal and hexadecimal numbers are all judged by the address they lead to.

    Args:
        host: a name, or an address in any form.
        port: the port.
        private: whether private, loopback and link-local addresses may be among them.

    Raises:
        Unreadable: none may.
        OSError, UnicodeError: the host isn't known.
    """
    found: Sequence[AddressInfo] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    allowed = [one for one in found if private or is_public(str(one[4][0]))]
    if not allowed:
        raise Unreadable(
            f"its address {found[0][4][0]} is not on the public internet; give a public one, or set "
            "BOT_PRIVATE_SOURCES=yes"
        )
    return allowed


def is_public(address: str) -> bool:
    """Whether an IP address is on the public internet, also the IPv4 address inside an IPv6 one."""
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv4Address):
        return found.is_global and not found.is_multicast
    inner = _inner(found)
    if inner is not None:
        return inner.is_global and not inner.is_multicast
    return found in _GLOBAL_UNICAST and found.is_global


def _inner(address: IPv6Address) -> IPv4Address | None:
    if address in _TRANSLATED:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
