import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from morphml_core.protocols import Split
from morphml_core.splits import cut, fraction_of, stratified_order

labels = st.lists(st.integers(0, 3), min_size=1, max_size=80).map(lambda found: np.array(found, dtype=np.int64))


@given(labels, st.integers(0, 2**31))
def test_an_order_is_a_permutation_and_repeats_itself(targets, seed):
    order = stratified_order(targets, seed)
    assert sorted(order.tolist()) == list(range(len(targets)))
    assert order.tolist() == stratified_order(targets, seed).tolist()


@given(labels, st.integers(0, 2**31), st.floats(0.01, 1))
def test_every_prefix_holds_the_classes_in_their_shares(targets, seed, fraction):
    part = fraction_of(stratified_order(targets, seed), fraction)
    for label in range(4):
        expected = len(part) * np.mean(targets == label)
        assert abs(np.sum(targets[part] == label) - expected) <= 4


@given(labels, st.integers(0, 2**31), st.floats(0.01, 1), st.floats(0.01, 1))
def test_smaller_subsets_are_parts_of_larger_ones(targets, seed, one, two):
    order = stratified_order(targets, seed)
    small, large = (set(fraction_of(order, fraction).tolist()) for fraction in sorted((one, two)))
    assert small <= large


@given(labels, st.floats(0, 0.4), st.floats(0, 0.4))
def test_cut_gives_each_sample_to_one_part(targets, valid, test):
    parts = cut(Split(np.arange(len(targets))[:, None], targets), (valid, test), 0)
    found = np.concatenate([part.inputs[:, 0] for part in parts])
    assert sorted(found.tolist()) == list(range(len(targets)))
    assert [len(parts[0]), len(parts[1])] == [round(valid * len(targets)), round(test * len(targets))]


def test_regression_targets_are_permuted():
    order = stratified_order(np.linspace(0, 1, 50)[:, None].astype(np.float32), 3)
    assert sorted(order.tolist()) == list(range(50))
    assert order.tolist() != list(range(50))
