"""`benchmarks/networks.py`: which genotypes are one network."""

from itertools import product

import pytest

from morphml_core.graph.canonical import fingerprint
from morphml_core.space.decisions import Genotype


@pytest.fixture
def networks(script):
    return script("networks")


@pytest.fixture
def tables(script):
    return script("tables")


def test_isomorphic_networks_of_nas_bench_graph_share_a_row(networks, tables, data):
    """The quick form and the fingerprint agree, and all but the nine networks of skips alone have a row."""
    bench = tables.table("nas_bench_graph/cora", data)
    forms, without = {}, []
    genotypes = [Genotype(slots) for slots in product(networks.LINKS, *[networks.GRAPH_OPERATIONS] * 4)]
    for genotype in genotypes:
        link, *ops = genotype.slots
        forms.setdefault(networks.layer_form(link, ops), []).append(genotype)
        if bench.row(genotype) is None:
            without.append(ops)
    assert (len(genotypes), len(forms), len(bench.repeats)) == (59049, 26207, 26206)
    assert without == [["skip"] * 4] * 9
    operations = networks.layers()
    some = sorted(forms.items(), key=lambda pair: -len(pair[1]))[:60] + list(forms.items())[::400]
    prints = []
    for _, members in some:
        found = {
            fingerprint(networks.layer_graph(bench.space.decisions.values(genotype)), operations)
            for genotype in members
        }
        assert len(found) == 1
        prints += found
    assert len(set(prints)) == len({form for form, _ in some})


def test_the_first_cell_of_a_reducing_module_knows_no_identity(tables, data):
    """A skip and a direct edge are one where a cell keeps the size, but not where it halves it: so these stay two networks."""
    bench = tables.table("transnasbench101_micro/jigsaw", data)
    through = Genotype(("skip_connect", "none", "none", "none", "conv_3x3", "none"))
    direct = Genotype(("none", "none", "none", "conv_3x3", "none", "none"))
    assert bench.space.express(through).fingerprint != bench.space.express(direct).fingerprint
    dead = Genotype(("conv_1x1", "none", "none", "conv_3x3", "none", "none"))
    assert bench.space.express(dead).fingerprint == bench.space.express(direct).fingerprint
