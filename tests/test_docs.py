"""What the documentation names must be there: tests, files, sections of files."""

import re
from collections import Counter
from pathlib import Path

import pytest

from bot.core.events import VOCABULARY

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
WRITTEN = ("*", ".ci/*", "bot/**/*", "config/*", "docs/**/*", "packaging/*")
"""Everything that people read or run."""


def test_every_test_that_a_page_names_exists() -> None:
    written = {
        name
        for file in (ROOT / "tests").rglob("*.py")
        for name in re.findall(r"def (test_\w+)\(", file.read_text())
    }
    named = {name for page in PAGES for name in re.findall(r"`(test_\w+)`", page.read_text())}
    assert named - written == set()


def anchors(page: Path) -> set[str]:
    """The names of a page's sections, as GitHub and others make them of its headings."""
    prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    found: Counter[str] = Counter()
    names = set()
    for heading in re.findall(r"^#{1,6} +(.+?)[ #]*$", prose, re.MULTILINE):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        names.add(f"{name}-{found[name]}" if found[name] else name)
        found[name] += 1
    return names


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_and_a_section_that_are_there(page: Path) -> None:
    missing = []
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        file, _, section = link.partition("#")
        if "://" in link:
            continue
        target = page.parent / file if file else page
        if not target.exists() or (section and section not in anchors(target)):
            missing.append(link)
    assert missing == []


def test_nothing_says_to_install_a_package_that_we_have_not_published() -> None:
    """Whoever registers our name would be installed beside the keys of production."""
    asked = re.compile(r"""\b(pipx?|uvx?|poetry)\b[^\n]*?[ '"]breakglass(?=[\[=~<>'" ]|$)""", re.MULTILINE)
    files = [file for name in WRITTEN for file in ROOT.glob(name) if file.is_file()]
    assert len(files) > 150
    wrong = {
        f"{file.relative_to(ROOT)}: {match[0]}"
        for file in files
        for match in asked.finditer(file.read_text(errors="ignore"))
    }
    assert wrong == set()


def test_every_event_and_code_that_the_page_on_bad_input_names_is_one() -> None:
    page = (ROOT / "docs" / "bad-input.md").read_text()
    rows = page.split("| Event | Tests |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row.split(" | ")[2])}
    sources = "".join(file.read_text() for file in (ROOT / "bot").rglob("*.py"))
    assert {"attempt_refused", "stale"} <= named
    assert {name for name in named - VOCABULARY.keys() if f'"{name}"' not in sources} == set()
