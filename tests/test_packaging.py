"""The image: every backend starts in it, and the pages say of it what the Dockerfile does."""

import json
import re
from pathlib import Path

from bot.backends.registry import EXTRAS
from bot.cli import parser
from bot.config.environment import VARIABLES
from tests.providers.nobody import NOBODY

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PAGES = {page: (ROOT / page).read_text() for page in ("README.md", "docs/operations.md")}
SET = dict(re.findall(r"(BREAKGLASS_\w+)=(\S+)", DOCKERFILE))


def listed(instruction: str) -> list[str]:
    """The words of an instruction in its JSON form."""
    (found,) = re.findall(rf"^{instruction}.*?(\[.*\])$", DOCKERFILE, re.MULTILINE)
    words: list[str] = json.loads(found)
    return words


def test_the_client_of_every_backend_is_installed() -> None:
    script = (ROOT / "packaging" / "install.sh").read_text()
    assert set(re.findall(r"--extra (\w+)", script)) == set(EXTRAS.values())


def test_the_health_check_is_a_command_of_ours_and_follows_the_file() -> None:
    program, *words = listed("HEALTHCHECK")
    assert program == parser().prog
    assert parser().parse_args(words).config is None, "it asks where the configuration of the image says"
    assert "127.0.0.1" not in DOCKERFILE


def test_the_signers_memory_and_the_database_lie_apart_on_volumes_of_their_own() -> None:
    assert set(SET) <= set(VARIABLES)
    memory = Path(SET["BREAKGLASS_SIGNING_MEMORY"]).parent
    database = Path(SET["BREAKGLASS_DATABASE_URL"].removeprefix("sqlite:///")).parent
    assert {str(memory), str(database)} == set(listed("VOLUME"))
    assert memory != database
    assert f"install -d -o breakglass -m 700 {memory}" in DOCKERFILE, "its user may write there"
    config = Path(SET["BREAKGLASS_CONFIG"]).parent
    assert config not in {memory, database}
    for name, page in PAGES.items():
        for folder in (memory, database, f"{config}:ro"):
            assert re.search(rf"-v \S+:{folder}\s", page), f"{name} mounts {folder}"


def test_the_pages_give_the_key_to_the_user_of_the_image() -> None:
    assert f"--uid {NOBODY} " in DOCKERFILE
    for name, page in PAGES.items():
        assert f"chown {NOBODY} /etc/breakglass /etc/breakglass/signing.key" in page, name
