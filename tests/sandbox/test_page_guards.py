"""Who may ask the page: other sites, other names, other keys, and paths that lead elsewhere are refused."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from bot.sandbox import Sandbox
from bot.sandbox.page import Beside, Page
from bot.sandbox.page.guards import BODY_LIMIT
from tests.sandbox.visitor import Visitor

FILES = Path(__file__).parents[2] / "bot" / "sandbox" / "page" / "files"


async def hello(_request: web.Request) -> web.Response:
    return web.json_response({"hello": "world"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "panel.js").write_text("export function mount() {}")
    (tmp_path / "panel.css").write_text("")
    (tmp_path / "notes.md").write_text("not for browsers")
    (tmp_path / "inner").mkdir()
    return tmp_path


@pytest.fixture
async def page(sandbox: Sandbox, folder: Path) -> AsyncIterator[Page]:
    page = Page(
        sandbox, Beside(folder, [web.post("/beside/api/hello", hello), web.get("/beside/api/hello", hello)])
    )
    await page.up()
    yield page
    await page.close()


@pytest.fixture
async def visitor(page: Page) -> AsyncIterator[Visitor]:
    async with Visitor(page) as visitor:
        yield visitor


async def test_every_answer_carries_the_strict_headers(visitor: Visitor) -> None:
    """The index, a file, a refusal and a path that is not there alike."""
    for path in ("", "files/app.js", "act", "nowhere", "files/nowhere.js"):
        async with visitor.session.get(visitor.page.url + path) as answer:
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Referrer-Policy"] == "no-referrer"
            assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
            assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:1", "localhost", "127.0.0.1.evil.example"])
async def test_the_page_answers_to_its_own_name_alone(visitor: Visitor, host: str) -> None:
    """A name that somebody else's DNS points at this machine gets nothing, not even the index."""
    for path in ("", "files/app.js", "stream", "nowhere"):
        async with visitor.session.get(visitor.page.url + path, headers={"Host": host}) as answer:
            assert answer.status == 403
            assert visitor.key not in await answer.text()


async def test_localhost_is_its_name_too(visitor: Visitor) -> None:
    url = visitor.page.url.replace("127.0.0.1", "localhost")
    headers = visitor.headers | {"Origin": url.removesuffix("/"), "Host": url.split("/")[2]}
    status, _ = await visitor.send(b"{}", **headers)
    assert status == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "", "http://127.0.0.1", "https://127.0.0.1"]
)
async def test_only_the_page_itself_may_act(visitor: Visitor, origin: str) -> None:
    assert (await visitor.send(b"{}", Origin=origin))[0] == 403


async def test_a_request_without_an_origin_cannot_act(visitor: Visitor) -> None:
    headers = {"X-Page-Key": visitor.key}
    async with visitor.session.post(f"{visitor.page.url}act", data=b"{}", headers=headers) as answer:
        assert answer.status == 403


@pytest.mark.parametrize("key", ["", "wrong", "wröng"])
async def test_without_the_key_nothing_is_done_or_shown(sandbox: Sandbox, visitor: Visitor, key: str) -> None:
    alice = sandbox.add_user("alice").id
    assert (await visitor.send(b"{}", **{"X-Page-Key": key}))[0] == 403
    params = {"as": alice, "key": key}
    async with visitor.session.get(f"{visitor.page.url}stream", params=params) as answer:
        assert answer.status == 403
    async with visitor.session.get(
        f"{visitor.page.url}beside/api/hello", headers={"X-Page-Key": key}
    ) as answer:
        assert answer.status == 403


async def test_the_key_in_an_address_opens_the_stream_alone(visitor: Visitor) -> None:
    """Addresses end up in logs and histories."""
    url = f"{visitor.page.url}act?key={visitor.key}"
    async with visitor.session.post(url, data=b"{}", headers={"Origin": visitor.headers["Origin"]}) as answer:
        assert answer.status == 403


async def test_two_pages_have_two_keys(sandbox: Sandbox, visitor: Visitor) -> None:
    other = Page(sandbox)
    await other.up()
    async with Visitor(other) as stranger:
        assert stranger.key != visitor.key
    await other.close()


async def test_what_stands_beside_is_behind_the_same_guards(visitor: Visitor) -> None:
    url = f"{visitor.page.url}beside/api/hello"
    async with visitor.session.post(url, headers=visitor.headers) as answer:
        assert await answer.json() == {"hello": "world"}
        assert "Content-Security-Policy" in answer.headers
    async with visitor.session.post(
        url, headers=visitor.headers | {"Origin": "http://evil.example"}
    ) as answer:
        assert answer.status == 403


def test_a_route_beside_cannot_take_the_place_of_the_pages_own(folder: Path) -> None:
    with pytest.raises(ValueError, match="/act is not below"):
        Beside(folder, [web.post("/act", hello)])


async def test_a_body_that_is_too_large_is_refused(visitor: Visitor) -> None:
    body = json.dumps({"text": "x" * BODY_LIMIT}).encode()
    assert (await visitor.send(body))[0] == 413


@pytest.mark.parametrize(
    "path",
    [
        "files/../server.py",
        "files/%2e%2e%2fserver.py",
        "files/..%2f..%2fsandbox.py",
        "files/%2e%2e/server.py",
        "files/.hidden.js",
        "files/",
        "files/app.js%00.css",
        "beside/notes.md",
        "beside/inner",
        "beside/%2fetc%2fpasswd",
        "beside/..%5cpanel.js",
    ],
)
async def test_no_path_leads_out_of_the_folders(visitor: Visitor, path: str) -> None:
    host, port = visitor.page.url.split("/")[2].split(":")
    status, text = await raw(host, int(port), f"/{path}")
    assert status in (400, 403, 404)
    assert "not for browsers" not in text
    assert "import" not in text


async def raw(host: str, port: int, path: str) -> tuple[int, str]:
    """Ask for a path exactly as it is written: clients tidy it up first."""
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
    text = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    return int(text.split(" ", 2)[1]), text.partition("\r\n\r\n")[2]


async def test_files_have_their_types(visitor: Visitor) -> None:
    """With nosniff, a module of the wrong type would not run."""
    for path, kind in {
        "files/app.js": "text/javascript",
        "files/style.css": "text/css",
        "beside/panel.js": "text/javascript",
    }.items():
        async with visitor.session.get(visitor.page.url + path) as answer:
            assert (answer.status, answer.content_type) == (200, kind)


async def test_a_taken_port_is_said_at_once(sandbox: Sandbox, page: Page) -> None:
    second = Page(sandbox)
    with pytest.raises(OSError, match="already in use"):
        await second.up(int(page.url.rsplit(":", 1)[1].strip("/")))


async def test_the_page_stays_while_slack_is_down(sandbox: Sandbox, visitor: Visitor) -> None:
    await sandbox.down()
    async with visitor.session.get(visitor.page.url) as answer:
        assert answer.status == 200
    with pytest.raises(aiohttp.ClientConnectionError):
        await visitor.session.get(f"{sandbox.url}/api/auth.test")


@pytest.mark.parametrize("file", sorted(FILES.glob("*.js")), ids=lambda file: file.name)
def test_no_module_makes_markup_from_text(file: Path) -> None:
    """The policy forbids inline code; the code keeps to nodes."""
    text = file.read_text(encoding="utf-8")
    forbidden = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|srcdoc"
        r"|createContextualFragment"
    )
    assert re.findall(forbidden, text) == []


@pytest.mark.parametrize("file", sorted(FILES.iterdir()), ids=lambda file: file.name)
def test_no_file_needs_another_host_or_inline_code(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert re.findall(r"(?:src|href)=\"(?!/)[^\"#]*\"|@import|url\(", text) == []
    if file.suffix == ".html":
        assert re.findall(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*src=)", text) == []
