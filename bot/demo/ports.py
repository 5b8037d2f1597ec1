"""Ports for servers that somebody else starts a moment later.

Rule: never one that the kernel hands to outgoing connections, or it may be gone before the server listens.
"""

import itertools
import os
import socket

# Below 32768, where the ephemeral ports of Linux begin, and above what services are registered for. Each
# process starts elsewhere, so that two at once do not try the same ones.
_FIRST, _COUNT = 20_000, 12_000
_next = itertools.count(os.getpid() * 1009 % _COUNT)


def free_port(host: str = "127.0.0.1") -> int:
    """A port at which nobody listens now, and which this process has not been given before."""
    while True:
        port = _FIRST + next(_next) % _COUNT
        with socket.socket() as probe:
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
