import pytest

from morphml_core.errors import GraphError
from morphml_core.graph.operations import Operation, OperationSet, Signature
from morphml_core.operations.vision import vision

RELU = vision()["relu"]


def plain(name, **more):
    return Operation(name, RELU.shape, RELU.cost, "torch.nn:ReLU", RELU.arguments, **more)


def test_a_set_finds_operations_by_name():
    made = OperationSet("mine", [plain("a"), plain("b")])
    assert [operation.name for operation in made] == ["a", "b"]
    assert "a" in made
    assert "c" not in made
    with pytest.raises(GraphError) as error:
        made["c"]
    assert str(error.value) == "operation 'c' is not in the set 'mine'; it has a, b"


def test_parameters_are_completed():
    operation = plain("a", defaults={"kernel": 3}, required=("channels",))
    assert operation.complete([("channels", 8)]) == {"kernel": 3, "channels": 8}
    assert operation.complete([("channels", 8), ("kernel", 5)]) == {"kernel": 5, "channels": 8}
    with pytest.raises(GraphError) as error:
        operation.complete([("channels", 8), ("size", 5)])
    assert str(error.value) == "operation 'a' has no parameter 'size'; it has channels, kernel"
    with pytest.raises(GraphError) as error:
        operation.complete([("kernel", 5)])
    assert str(error.value) == "operation 'a' needs the parameter 'channels', but it was not given"
    with pytest.raises(GraphError) as error:
        operation.complete([("kernel", 5), ("size", 5)])
    assert str(error.value) == "operation 'a' has no parameter 'size'; it has channels, kernel"


def test_an_operation_claims_nothing_by_default():
    operation = plain("a")
    assert not operation.commutative
    assert not operation.pure
    assert not operation.keeps_zero({})
    assert not operation.keeps_positions({})
    assert not operation.identity(1, {})
    assert operation.channels({}) == "fixed"


def test_the_class_may_depend_on_the_shapes():
    norm = vision()["batch_norm"]
    assert norm.module_name(((8, 4, 4),), (8, 4, 4), {}) == "torch.nn:BatchNorm2d"
    assert norm.module_name(((8,),), (8,), {}) == "torch.nn:BatchNorm1d"


def test_a_signature_is_made_of_whole_numbers():
    import numpy as np

    assert Signature(np.array([3, 8, 8]).tolist(), 10).shape == (3, 8, 8)
