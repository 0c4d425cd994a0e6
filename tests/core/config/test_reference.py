"""docs/configuration.md is what the classes say."""

import importlib.util
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[3] / "docs"


@pytest.fixture(scope="module")
def page():
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.page()


def test_the_committed_page_is_current(page):
    assert (DOCS / "configuration.md").read_text(encoding="utf-8") == page, "run python docs/generate.py"


def test_every_option_has_a_meaning(page):
    """In its row, or in the words above the table."""
    silent = []
    for section in page.split("\n### ")[1:]:
        words = "\n".join(line for line in section.splitlines() if not line.startswith("| "))
        names = re.findall(r"^\| `(\w+)` .*\|  \|$", section, re.MULTILINE)
        silent += [f"{section.splitlines()[0]}: {name}" for name in names if f"`{name}`" not in words]
    assert silent == []
