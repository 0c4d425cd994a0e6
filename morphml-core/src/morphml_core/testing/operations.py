"""Conformance suite of kind `operations`.  It needs torch.

class TestMine(OperationsSuite):
    @pytest.fixture
    def make(self) -> OperationSet:
        return my_operations()
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from importlib import import_module
from typing import Any, ClassVar

import attrs
import pytest

from morphml_core.graph.ir import Shape, Value
from morphml_core.graph.operations import Operation, OperationSet
from morphml_core.graph.shapes import LoweredNode


@attrs.frozen
class Case:
    """An operation with input shapes that it accepts."""

    operation: Operation
    params: Mapping[str, Value]
    inputs: tuple[Shape, ...]
    output: Shape

    def __str__(self) -> str:
        return f"{self.operation.name} {dict(self.params)} on {self.inputs}"

    def module(self) -> Any:
        """The torch module, its weights drawn at random (no zeros, so that mistakes show)."""
        import torch

        from morphml_core.torch.build import make_module

        node = LoweredNode(self.operation, (), self.params, self.inputs, self.output, 0)
        module = make_module(node)
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.copy_(torch.rand(parameter.shape, generator=generator) - 0.3)
        return module

    def tensors(self, batch: int = 3) -> list[Any]:
        """Random inputs."""
        import torch

        generator = torch.Generator().manual_seed(1)
        return [torch.randn((batch, *shape), generator=generator) for shape in self.inputs]


class OperationsSuite:
    """What `Operation` promises, checked for every operation of a set, with its defaults, on each rank of input."""

    required: ClassVar[Mapping[str, Value]] = {"channels": 8, "units": 8}
    """Values for parameters without a default."""
    shapes: ClassVar[tuple[Shape, ...]] = ((8, 9, 9), (8, 6, 4), (5, 8), (8,))
    """The input shapes that are tried."""

    @pytest.fixture
    def make(self) -> OperationSet:
        """The operation set."""
        raise NotImplementedError("define the fixture 'make', which returns an OperationSet")

    @pytest.fixture
    def cases(self, make: OperationSet) -> list[Case]:
        """Every operation with its defaults on every shape that it accepts."""
        pytest.importorskip("torch")
        return [case for operation in make for case in self._cases(operation)]

    def _cases(self, operation: Operation) -> list[Case]:
        given = {name: self.required[name] for name in operation.required}
        params = operation.complete(given.items())
        found = []
        for shape in self.shapes:
            counts = (operation.arity,) if operation.arity is not None else (1, 2, 3)
            for count in counts:
                inputs = (shape,) * count
                try:
                    output = operation.shape(inputs, params)
                except ValueError:
                    continue
                found.append(Case(operation, params, inputs, output))
        return found

    def test_each_operation_is_described_and_accepts_some_shape(self, make: OperationSet) -> None:
        """A summary, defaults that JSON can say, and at least one shape of `shapes` that fits."""
        for operation in make:
            assert operation.summary.strip(), f"{operation.name} has no summary"
            assert json.loads(json.dumps(dict(operation.defaults))) == dict(operation.defaults)
            assert self._cases(operation), f"{operation.name} accepts none of {self.shapes}"

    def test_bad_shapes_are_sentences(self, make: OperationSet) -> None:
        """A shape that does not fit raises `ValueError` with a sentence and nothing else."""
        for operation in make:
            params = operation.complete((name, self.required[name]) for name in operation.required)
            for shape in (*self.shapes, (1,), (1, 1), (1, 1, 1)):
                sentence = self._refusal(operation, params, shape)
                assert sentence is None or len(sentence.split()) > 3, f"{operation.name}: {sentence}"

    @staticmethod
    def _refusal(operation: Operation, params: Mapping[str, Value], shape: Shape) -> str | None:
        try:
            operation.shape((shape,) * (operation.arity or 2), params)
        except ValueError as error:
            return str(error)
        return None

    def test_cost_counts_the_parameters_of_the_module(self, cases: list[Case]) -> None:
        """`Cost.parameters` is the count that torch gives."""
        for case in cases:
            counted = sum(parameter.numel() for parameter in case.module().parameters())
            cost = case.operation.cost(case.inputs, case.output, case.params)
            assert cost.parameters == counted, f"{case}: cost says {cost.parameters}, torch {counted}"
            assert cost.flops >= 0
            assert cost.activations >= 0

    def test_the_module_returns_the_shape(self, cases: list[Case]) -> None:
        """`shape` is what the module returns."""
        for case in cases:
            found = tuple(case.module()(*case.tensors()).shape[1:])
            assert found == case.output, f"{case}: shape says {case.output}, torch {found}"

    def test_commutative_inputs_may_be_reordered(self, cases: list[Case]) -> None:
        """The same output, or the same numbers in other channels where the operation only `permutes`."""
        import torch

        for case in cases:
            if not case.operation.commutative or len(case.inputs) < 2:
                continue
            module, tensors = case.module().eval(), case.tensors()
            first, second = module(*tensors), module(*reversed(tensors))
            if case.operation.permutes:
                first, second = first.flatten(1).sort().values, second.flatten(1).sort().values
            torch.testing.assert_close(first, second)

    def test_zeros_are_kept_where_claimed(self, cases: list[Case]) -> None:
        """`keeps_zero`: zeros give zeros, in training and after."""
        import torch

        for case in cases:
            if case.operation.keeps_zero(case.params):
                module, tensors = case.module(), [torch.zeros_like(tensor) for tensor in case.tensors()]
                for mode in (True, False):
                    assert not module.train(mode)(*tensors).any(), f"{case} turns zeros into something else"

    def test_identity_and_purity_hold_where_claimed(self, cases: list[Case]) -> None:
        """`identity`: the first input comes back.  `pure`: no weights, no state, and the same output each time."""
        import torch

        for case in cases:
            module, tensors = case.module(), case.tensors()
            if case.operation.identity(len(case.inputs), case.params):
                assert torch.equal(module(*tensors), tensors[0]), f"{case} does not return its input"
            if case.operation.pure:
                assert not module.state_dict(), f"{case} has state, so it is not pure"
                assert torch.equal(module(*tensors), module(*tensors)), f"{case} is random, so it is not pure"

    def test_positions_and_channels_are_kept_where_claimed(self, cases: list[Case]) -> None:
        """`keeps_positions`, and `channels` "keep" for operations without weights: permuted channels stay permuted."""
        import torch

        for case in cases:
            shape, output = case.inputs[0], case.output
            if case.operation.keeps_positions(case.params):
                kept = (shape[1:], output[1:]) if len(shape) == 3 else (shape[:-1], output[:-1])
                assert kept[0] == kept[1], f"{case} does not keep positions"
            role = case.operation.channels(case.params)
            assert role in ("keep", "mix", "fixed"), f"{case}: channels says '{role}'"
            if role == "keep" and case.operation.pure and len(case.inputs) == 1 and len(output) == len(shape):
                axis = 1 if len(shape) == 3 else -1
                module, tensor = case.module(), case.tensors()[0]
                assert torch.allclose(module(tensor.flip(axis)), module(tensor).flip(axis)), (
                    f"{case} does not keep channels"
                )

    def test_classes_outside_torch_need_torch_alone(self, cases: list[Case]) -> None:
        """An export copies their source: it must run where only torch is."""
        import torch

        for case in cases:
            name = case.operation.module_name(case.inputs, case.output, case.params)
            module, _, attribute = name.partition(":")
            if module.startswith("torch."):
                continue
            scope: dict[str, Any] = {"torch": torch, "nn": torch.nn}
            exec(inspect.getsource(getattr(import_module(module), attribute)), scope)
            made = scope[attribute](**case.operation.arguments(case.inputs, case.output, case.params))
            made.load_state_dict(case.module().state_dict())
            assert torch.equal(made.eval()(*case.tensors()), case.module().eval()(*case.tensors()))
