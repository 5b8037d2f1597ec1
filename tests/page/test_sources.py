"""The panel's sources keep the page's own rule: no way in which data could become mark-up or code."""

import re
from pathlib import Path

import pytest

from bot.demo.panel import BESIDE

SINKS = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|srcdoc|createContextualFragment|setHTMLUnsafe"
    r"|DOMParser|\beval\(|new Function|https?://"
)


@pytest.mark.parametrize("file", sorted(BESIDE.iterdir()), ids=lambda file: file.name)
def test_the_panel_has_no_way_from_data_to_mark_up_and_needs_no_other_host(file: Path) -> None:
    assert SINKS.findall(file.read_text(encoding="utf-8")) == []
