"""What a part complains of when it is built goes to where its section, or its option, was written."""

from __future__ import annotations

import attrs
import pytest

from morphml_core.errors import Complaint, ConfigurationError, MorphMLError, StorageError
from morphml_core.plugins.building import built
from morphml_core.plugins.component import ComponentRef, Part, optimizer
from morphml_core.plugins.refs import Located

PLACES = {(): "a.yaml:3", ("steps",): "a.yaml:5", ("optimizer",): "a.yaml:7", ("optimizer", "steps"): "a.yaml:9"}


@attrs.frozen
class Config:
    steps: int = 1


def building(error, places=PLACES, where="a.yaml:3"):
    def create(config, problem):
        raise error

    part = Part(ComponentRef("optimizer", "climb", Located({}, places), where), optimizer(Config, create), Config())
    with pytest.raises(ConfigurationError) as found:
        built(part, None)
    return [(complaint.where, complaint.message) for complaint in found.value.complaints]


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("", "a.yaml:3"),
        ("optimizer", "a.yaml:3"),
        ("optimizer.steps", "a.yaml:5"),
        ("optimizer.optimizer", "a.yaml:7"),
        ("optimizer.optimizer.steps", "a.yaml:9"),
        ("optimizer.optimizer.other", "a.yaml:7"),
        ("a.yaml:20", "a.yaml:20"),
        ("stop.trials", "stop.trials"),
    ],
)
def test_complaints_with_a_path_go_to_its_place(path, place):
    assert building(ConfigurationError([Complaint(path, "it is wrong")])) == [(place, "it is wrong")]


def test_a_path_stays_where_no_place_is_known():
    error = ConfigurationError([Complaint("optimizer.steps", "it is wrong"), Complaint("", "so is this")])
    assert building(error, {}, "") == [("optimizer.steps", "it is wrong"), ("", "so is this")]


def test_other_errors_become_complaints_of_the_section():
    assert building(MorphMLError("it has no steps")) == [("a.yaml:3", "optimizer 'climb': it has no steps")]
    assert building(ImportError("no module")) == [
        ("a.yaml:3", "optimizer 'climb' cannot be built: ImportError: no module")
    ]


def test_an_error_of_the_storage_passes():
    def create(config, problem):
        raise StorageError("the disk is full")

    with pytest.raises(StorageError, match="the disk is full"):
        built(Part(ComponentRef("optimizer", "climb"), optimizer(Config, create), Config()), None)
