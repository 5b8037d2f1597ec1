"""The two pages that anybody who reaches the port may read."""

import socket

import aiohttp
import pytest

from bot.core.errors import BreakglassError
from bot.web.health import health_pages


async def test_health_answers_and_ready_names_what_is_wrong() -> None:
    trouble: dict[str, str] = {}
    async with health_pages("127.0.0.1:0", lambda: trouble) as port, aiohttp.ClientSession() as http:
        for wrong, status in (({}, 200), ({"keeper": "it has not swept lately."}, 503)):
            trouble.update(wrong)
            async with http.get(f"http://127.0.0.1:{port}/ready") as answer:
                assert answer.status == status
                assert await answer.json() == {"ready": not wrong, "trouble": wrong}
            async with http.get(f"http://127.0.0.1:{port}/health") as answer:
                assert (answer.status, await answer.json()) == (200, {"alive": True})


async def test_a_port_that_is_taken_is_a_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(BreakglassError, match=r"Nobody can listen at .* change listen under"):
            async with health_pages(listen, dict):
                raise AssertionError
