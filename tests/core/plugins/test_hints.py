import tomllib
from pathlib import Path

from morphml_core.plugins import hints
from morphml_core.plugins.catalogue import group_of
from morphml_core.plugins.component import HOOK, KINDS

ROOT = Path(__file__).parents[3]


def test_the_table_is_what_our_distributions_register():
    registered = {}
    for path in sorted(ROOT.glob("morphml-*/pyproject.toml")):
        if path.parent.name == "morphml-core":
            continue
        points = tomllib.loads(path.read_text())["project"].get("entry-points", {})
        kinds = {
            kind: tuple(sorted(points[group_of(kind)]))
            for kind in (*KINDS, HOOK, "command")
            if group_of(kind) in points
        }
        registered[path.parent.name] = kinds
    assert {owner: dict(kinds) for owner, kinds in hints.COMPONENTS.items()} == registered


def test_who_has_a_component():
    assert hints.distribution_of("optimizer", "local_search") == "morphml-optimizers"
    assert hints.distribution_of("space", "local_search") is None
