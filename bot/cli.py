"""The command line: thin. It reads words, calls one thing, prints what came of it.

Rules: what a program would read is JSON with `--json`, on standard output, alone. What went wrong is a
sentence on standard error that ends with what to do. Exit codes: 0 done; 1 it could not be done; 2 called or
configured wrongly; 3 something was found (`verify`, `check`). Heavy imports wait until a command needs them.
"""

import argparse
import asyncio
import json
import logging
import os
import sys
from collections.abc import Callable, Collection, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bot import __version__
from bot.core.errors import BreakglassError

if TYPE_CHECKING:
    from bot.config import Config, Need

DEFAULT_CONFIG = Path("config/breakglass.toml")

DONE, FAILED, WRONG, FOUND = 0, 1, 2, 3

Command = Callable[[argparse.Namespace], Coroutine[object, object, int]]


def main(words: Sequence[str] | None = None) -> int:
    """Runs one command. Returns its exit code."""
    options = parser().parse_args(words)
    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    logging.getLogger("bot").setLevel(logging.INFO)
    command: Command = options.command
    try:
        return asyncio.run(command(options))
    except BreakglassError as error:
        from bot.config import ConfigError

        for line in str(error).splitlines():
            print(f"breakglass: {line}", file=sys.stderr)
        return WRONG if isinstance(error, ConfigError) else FAILED
    except KeyboardInterrupt:
        return FAILED
    except asyncio.CancelledError:
        print("breakglass: stopped because a part of it failed; the log above says which.", file=sys.stderr)
        return FAILED
    except Exception as error:
        sentence = _foreseen(error)
        if sentence is None:
            raise
        print(f"breakglass: {sentence}", file=sys.stderr)
        return FAILED


def _foreseen(error: Exception) -> str | None:
    """A sentence for what is no bug: a key file, the database, a port. None: it deserves its traceback."""
    from bot.audit.checkpoint import CheckpointError
    from bot.store import DatabaseTrouble

    if isinstance(error, CheckpointError):
        return str(error)
    if isinstance(error, DatabaseTrouble):
        return f"The database cannot be used ({error.orig}). Mend it, or BREAKGLASS_DATABASE_URL."
    if isinstance(error, OSError):
        return f"{error}. Mend that, then try again."
    return None


def parser() -> argparse.ArgumentParser:
    """Every command with its options."""
    found = argparse.ArgumentParser(
        prog="breakglass",
        description="Emergency access from Slack, with a hard end and a history that can be checked.",
        epilog="Exit codes: 0 done; 1 not done; 2 called or configured wrongly; 3 something was found.",
    )
    found.add_argument("--version", action="version", version=__version__)
    commands = found.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(
        name: str, run: Command, text: str, *, machine_readable: bool = True
    ) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(command=run)
        sub.add_argument(
            "--config",
            type=Path,
            metavar="FILE",
            help="the configuration (default: BREAKGLASS_CONFIG, then config/breakglass.toml)",
        )
        if machine_readable:
            sub.add_argument("--json", action="store_true", help="print JSON for programs")
        return sub

    command("serve", _serve, "Run the server: Slack, the keeper, the history.", machine_readable=False)
    command("check", _check, "Find mistakes and lock-outs before the night they matter.")
    command(
        "health",
        _health,
        "Ask the server on this machine whether it lives, for a container's health check.",
        machine_readable=False,
    )
    command(
        "migrate", _migrate, "Bring the database to this version's schema, and its roles to their rights."
    )

    copy = command("copy", _copy, "Move the history to another database: BREAKGLASS_COPY_TO names it.")
    copy.add_argument(
        "--cancel", action="store_true", help="the copy is never to be used: serve the source again"
    )

    command("status", _status, "List every request that is not over.")

    revoke = command("revoke", _revoke, "End access now, also while Slack is down or the server stopped.")
    which = revoke.add_mutually_exclusive_group(required=True)
    which.add_argument("id", nargs="?", metavar="ID", help="one request, e.g. BG-7K3Q2M")
    which.add_argument("--person", metavar="P", help="everything this Slack user id holds")
    which.add_argument("--all", action="store_true", help="everything that anybody holds")
    revoke.add_argument("--reason", default="", help="stands in the history")

    verify = command("verify", _verify, "Check the whole history, and say which line is wrong.")
    verify.add_argument(
        "--checkpoints", type=Path, metavar="FILE", help="checkpoints copied from the audit channel"
    )
    verify.add_argument(
        "--key",
        metavar="KEY",
        action="append",
        default=[],
        help="the verifier key (default: that of the signing key file); again for each one before it",
    )

    enroll = command("enroll", _enroll, "Issue a one-time token with which one person can enrol.")
    enroll.add_argument("--person", required=True, metavar="ID", help="a Slack user id")
    enroll.add_argument(
        "--uri", action="store_true", help="enrol now and print the otpauth URI, for sealed storage and tests"
    )

    keygen = command("keygen", _keygen, "Make the keys: one that signs the history, one that seals secrets.")
    keygen.add_argument(
        "--signing-key", type=Path, default=Path("breakglass-signing.key"), metavar="FILE", help="new file"
    )

    manifest = command(
        "manifest",
        _manifest,
        "Print the Slack app's manifest for the transport `http`.",
        machine_readable=False,
    )
    manifest.add_argument("--url", required=True, help="where Slack reaches the server, with https")
    manifest.add_argument(
        "--from",
        dest="shipped",
        type=Path,
        default=Path("manifest.yml"),
        metavar="FILE",
        help="the one that ships (default: manifest.yml here)",
    )

    demo = command("demo", _demo, "Play it all against a Slack workspace in a box.", machine_readable=False)
    demo.add_argument("--tour", action="store_true", help="play the whole story without a browser, and exit")
    demo.add_argument(
        "--transport", choices=("socket", "http"), default="socket", help="how Slack reaches the bot"
    )
    demo.add_argument(
        "--store",
        choices=("sqlite", "postgres"),
        default="sqlite",
        help="where the bot keeps its history: a file, or a second database of the embedded PostgreSQL",
    )
    demo.add_argument("--wire-log", type=Path, metavar="FILE", help="write every Web API call as a JSON line")
    demo.add_argument(
        "--port", type=_port, metavar="N", help="the page's port (default: 8217, or the next that is free)"
    )
    demo.add_argument("--no-browser", action="store_true", help="do not open a browser")
    demo.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="keep the history there, and go on with it next time"
    )
    return found


# --- commands -------------------------------------------------------------------------------------------


async def _serve(options: argparse.Namespace) -> int:
    from bot import app
    from bot.config import SERVE

    await app.serve(_config(options, SERVE), os.environ)
    return DONE


async def _health(options: argparse.Namespace) -> int:
    from bot.web import asking

    asking.ask(_config_file(options))
    print("The server lives. GET /ready says whether access can be granted.")
    return DONE


async def _migrate(options: argparse.Namespace) -> int:
    from bot.operate import migrating

    found = await migrating.migrate(os.environ)
    said = "is up to date" if found["before"] == found["after"] else "was migrated"
    _say(options, found, f"The database {said}: schema {found['after']}.")
    return DONE


async def _copy(options: argparse.Namespace) -> int:
    from bot.operate import copying

    if options.cancel:
        taken = await copying.cancelled(os.environ)
        text = "The mark is gone: this history may be served again. Never serve the copy: the two would fork."
        _say(options, {"cancelled": taken}, text if taken else "This history was not marked as copied.")
        return DONE
    try:
        found = await copying.copied(os.environ, lambda sentence: print(sentence, file=sys.stderr))
    except copying.Unsound as error:
        for line in str(error).splitlines():
            print(f"breakglass: {line}", file=sys.stderr)
        return FOUND
    _say(options, found, copying.copied_text(found))
    return DONE


async def _status(options: argparse.Namespace) -> int:
    from bot.operate import looking

    async with looking.reading(os.environ) as reader:
        found = await looking.status(reader)
    lines = [looking.status_line(row) for row in found] or [
        "Nothing is open: nobody holds or waits for access."
    ]
    _say(options, {"requests": found}, "\n".join(lines))
    return DONE


async def _revoke(options: argparse.Namespace) -> int:
    from bot.config import END
    from bot.operate import ending

    config = _config(options, END)
    ended = await ending.revoke(
        config,
        os.environ,
        id=options.id,
        person=options.person,
        reason=options.reason,
        tell=lambda sentence: print(sentence, file=sys.stderr),
    )
    lines = [f"{row['id']}: {row['sentence']}" for row in ended] or ["Nobody holds any access."]
    _say(options, {"revoked": ended}, "\n".join(lines))
    return DONE if all(row["ended"] for row in ended) else FAILED


async def _verify(options: argparse.Namespace) -> int:
    from bot.operate import verifying

    found = await verifying.verify(os.environ, key=options.key, checkpoints=options.checkpoints)
    _say(options, found, verifying.verify_text(found))
    return DONE if found["sound"] else FOUND


async def _check(options: argparse.Namespace) -> int:
    from bot.operate import checking

    found = await checking.check(_config_file(options), os.environ)
    _say(options, found, checking.check_text(found))
    return FOUND if any(row["severity"] == "error" for row in found["findings"]) else DONE


async def _enroll(options: argparse.Namespace) -> int:
    from bot.config import END
    from bot.operate import keys

    config = _config(options, END)
    found = await keys.enroll(config, os.environ, person=options.person, directly=options.uri)
    text = found.get("uri") or (
        f"{found['token']}\nGive this to {options.person} alone, in person or by phone. It works once, "
        "within 24 hours:\nthey type /breakglass enroll in Slack and enter it there."
    )
    _say(options, found, text)
    return DONE


async def _keygen(options: argparse.Namespace) -> int:
    from bot.operate import keys

    found = keys.keygen(_config(options, ()), options.signing_key)
    text = (
        f"BREAKGLASS_SECRET_KEYS={found['secret_key']}\n"
        f"BREAKGLASS_SIGNING_KEY_FILE={found['signing_key_file']}\n"
        f"# For your auditor, and for `breakglass verify --key`: {found['verifier_key']}"
    )
    _say(options, found, text)
    return DONE


async def _manifest(options: argparse.Namespace) -> int:
    from bot.slack.manifest import over_http

    if not options.url.startswith("https://"):
        raise BreakglassError("Slack posts to https addresses alone. Write --url https://….")
    print(over_http(options.shipped.read_text(encoding="utf-8"), options.url), end="")
    return DONE


async def _demo(options: argparse.Namespace) -> int:
    from bot.demo import command

    return await command.run(options)


# --- what the commands share ----------------------------------------------------------------------------


def _config(options: argparse.Namespace, need: "Collection[Need]") -> "Config":
    from bot.config import load

    return load(_config_file(options), os.environ, need=need)


def _config_file(options: argparse.Namespace) -> Path:
    """`--config`, else BREAKGLASS_CONFIG, else `config/breakglass.toml`."""
    named: Path | None = options.config
    return named or Path(os.environ.get("BREAKGLASS_CONFIG") or DEFAULT_CONFIG)


def _say(options: argparse.Namespace, found: object, text: str) -> None:
    print(json.dumps(found, indent=2) if options.json else text)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is no port. Name one from 1024 to 65535.")
    return int(text)
