import subprocess
import sys
import time

import pytest

from morphml_core.errors import DuplicateComponentError
from morphml_core.plugins.catalogue import Catalogue, Entry, canonical, group_of


def test_groups_of_kinds():
    assert group_of("optimizer") == "morphml.optimizer"
    assert group_of("hook") == "morphml.plugins"


def test_names_compare_as_indexes_do():
    assert canonical("Morph_ML.Extra--x") == "morph-ml-extra-x"


def test_an_entry_keeps_its_distribution(site):
    site.install("my-climb", {"morphml.optimizer": ["climb = climb:component"]}, "1.2", ["morphml-core>=0.1"])
    catalogue = Catalogue.installed(site.path)
    assert catalogue.find("optimizer", "climb") == [
        Entry("optimizer", "climb", "climb:component", "my-climb", "1.2", ("morphml-core>=0.1",))
    ]
    assert catalogue.names("optimizer") == ["climb", "random"]
    assert catalogue.names("optimizer", "My_Climb") == ["climb"]
    assert catalogue.version("my.climb") == "1.2"
    assert catalogue.version("other") is None


def test_nothing_is_imported(site):
    site.install("my-climb", {"morphml.optimizer": ["climb = climb:component"]})
    site.module("climb", "raise RuntimeError('imported')")
    assert Catalogue.installed(site.path).names("optimizer") == ["climb", "random"]


def test_other_groups_are_not_ours(site):
    site.install(
        "other", {"morphml.optimiser": ["a = a:b"], "console_scripts": ["c = d:e"], "morphml.plugins": ["h = m:p"]}
    )
    assert [(entry.kind, entry.name) for entry in Catalogue.installed(site.path)] == [
        ("optimizer", "random"),
        ("hook", "h"),
    ]


def test_duplicates_are_found_wherever_they_stand(site):
    site.install("a-one", {"morphml.optimizer": ["climb = climb:component", "other = climb:component"]})
    site.install("m-between", {"morphml.space": ["climb = climb:component"]})
    site.install("z-two", {"morphml.optimizer": ["another = climb:component", "climb = climb:component"]})
    found = Catalogue.installed(site.path).find("optimizer", "climb")
    assert [entry.distribution for entry in found] == ["a-one", "z-two"]
    assert [e.distribution for e in Catalogue.installed(site.path).find("optimizer", "climb", "Z_two")] == ["z-two"]


def test_a_repeated_line_is_one_entry(site):
    site.install("twice", {"morphml.optimizer": ["climb = climb:component", "climb = climb:component"]})
    assert len(Catalogue.installed(site.path).find("optimizer", "climb")) == 1


def test_the_first_of_several_metadata_folders_counts(site, tmp_path):
    stale = tmp_path / "stale"
    site.install("my-climb", {"morphml.optimizer": ["climb = climb:component"]}, "2.0")
    site.install("my-climb", {"morphml.optimizer": ["climb = old:component", "gone = old:gone"]}, "1.0", folder=stale)
    catalogue = Catalogue.installed([*site.path, str(stale)])
    assert [entry.target for entry in catalogue.find("optimizer", "climb")] == ["climb:component"]
    assert catalogue.find("optimizer", "gone") == []
    assert catalogue.notes == (
        (
            "my-climb is installed more than once: 2.0 is used, 1.0 is hidden behind it; "
            "uninstall it until none is left, then install it again"
        ),
    )


def test_a_new_version_without_entry_points_hides_an_old_one_that_has_some(site, tmp_path):
    stale = tmp_path / "stale"
    site.install("my-climb", {"console_scripts": ["c = d:e"]}, "2.0")
    site.install("my-climb", {"morphml.optimizer": ["climb = old:component"]}, "1.0", folder=stale)
    assert Catalogue.installed([*site.path, str(stale)]).find("optimizer", "climb") == []


def test_a_folder_twice_on_the_path_is_no_news(site):
    assert Catalogue.installed(site.path * 2).notes == ()


def test_broken_metadata_hurts_nobody_else(site):
    info = site.install("bad-points", {"morphml.optimizer": ["no equals sign"]})
    nameless = site.install("nameless", {"morphml.optimizer": ["n = n:n"]})
    (nameless / "METADATA").unlink()
    unreadable = site.install("unreadable", {"morphml.optimizer": ["u = u:u"]})
    (unreadable / "entry_points.txt").write_bytes(b"[morphml.optimizer]\n\xff\xfe = u:u\n")
    catalogue = Catalogue.installed(site.path)
    assert catalogue.names("optimizer") == ["random"]
    assert catalogue.notes == ("the entry points of bad-points 1.0 cannot be read; install it again",)
    assert info.exists()


def test_what_is_really_installed_takes_a_few_milliseconds():
    Catalogue.installed()  # the first call imports importlib.metadata
    times = []
    for _ in range(5):
        start = time.perf_counter()
        catalogue = Catalogue.installed()
        times.append(time.perf_counter() - start)
    assert "inline" in catalogue.names("executor")
    assert min(times) < 0.05


def test_the_module_imports_no_metadata_until_it_is_asked():
    code = "import sys, morphml_core.plugins.catalogue; print('importlib.metadata' in sys.modules, 'cattrs' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split()[1] == "False"


def test_a_distribution_offers_a_default(site):
    assert Catalogue.installed(site.path).default("optimizer") is None
    groups = {"morphml.optimizer": ["climb = climb:component"], "morphml.default": ["optimizer = climb:component"]}
    site.install("my-climb", groups)
    assert Catalogue.installed(site.path).default("optimizer") == "climb"
    assert Catalogue.installed(site.path).default("space") is None


def test_an_offer_of_what_is_not_registered_is_none(site):
    site.install("my-climb", {"morphml.default": ["optimizer = climb:component"]})
    assert Catalogue.installed(site.path).default("optimizer") is None


def test_two_offers_need_a_choice(site):
    for name in ("my-climb", "your-walk"):
        short = name.partition("-")[2]
        line = f"{short}:component"
        site.install(name, {"morphml.optimizer": [f"{short} = {line}"], "morphml.default": [f"optimizer = {line}"]})
    with pytest.raises(DuplicateComponentError) as caught:
        Catalogue.installed(site.path).default("optimizer")
    assert str(caught.value) == (
        "there is no one default for optimizer: my-climb offers 'climb' and your-walk offers 'walk'; "
        "name one in the section 'optimizer' of the configuration"
    )
