import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn

from morphml_core.artifacts.local import Config as Folder
from morphml_core.artifacts.local import LocalArtifacts
from morphml_core.errors import EvaluationError
from morphml_core.evaluator.train import Config
from morphml_core.graph.operations import Signature
from morphml_core.problem import Budget, Resources, Task
from morphml_core.protocols import Data, Split
from morphml_core.space.decisions import Genotype
from morphml_core.torch.checkpoint import write
from morphml_core.torch.data import prepare
from morphml_core.torch.steps import Trainee, decayed, precision
from morphml_core.torch.train import Run, Training, train

CPU = torch.device("cpu")


def images(count=96, noise=0.3):
    """Four classes: which quarter of a small picture is bright."""
    rng = np.random.default_rng(0)
    targets = np.arange(count) % 4
    inputs = rng.random((count, 1, 8, 8)) * noise
    for i, label in enumerate(targets):
        row, column = divmod(int(label), 2)
        inputs[i, 0, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] += 0.6
    return Split((inputs * 255).astype(np.uint8), targets)


def line(count=96):
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(count, 3)).astype(np.float32)
    targets = 1000 + 200 * inputs @ np.array([[1.0], [-2.0], [0.5]], np.float32)
    return Split(inputs, targets.astype(np.float32))


IMAGES = prepare(Data(images(), None, None, Signature((1, 8, 8), 4)), 0.2, True, CPU)
LINE = prepare(Data(line(), None, None, Signature((3,), 1), regression=True), 0.2, True, CPU)


def network():
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, 2, 1, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Flatten(),
        nn.Linear(96, 4),
    )


def options(**changes):
    return Config(dataset=None, **{"epochs": 3, "batch_size": 16, "device": "cpu", **changes})


def run_of(
    number=0, seed=5, attempt=1, continues=None, budget=None, make=network, prepared=IMAGES, graph="g", **changes
):
    task = Task(number, Genotype(()), seed, attempt, budget or Budget(), continues)
    return Run(task, make, graph, options(**changes), prepared)


@pytest.fixture
def store(tmp_path):
    return LocalArtifacts(Folder(str(tmp_path / "artifacts")), "test")


def trained(run, store, stop_after=None):
    """The measurements and the final metrics (None where it was closed after some epochs)."""
    found, evaluation = [], train(run, store)
    try:
        while True:
            found.append(next(evaluation))
            if len(found) == stop_after:
                evaluation.close()
                return found, None
    except StopIteration as end:
        metrics = dict(end.value)
        assert metrics.pop("seconds") > 0
        return found, metrics


def weights(store, number=0):
    from morphml_core.torch.checkpoint import load, model_name

    return load(store, model_name(number))["model"]


def same(one, two):
    return one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


def test_each_epoch_is_reported_and_something_is_learned(store):
    found, metrics = trained(run_of(epochs=6, learning_rate=0.02), store)
    assert [m.step for m in found] == [1, 2, 3, 4, 5, 6]
    assert all(m.metrics.keys() == {"accuracy", "loss", "train_loss"} for m in found)
    assert metrics.keys() == {"accuracy", "loss", "test_accuracy", "train_loss", "epochs"}
    assert metrics["accuracy"] == found[-1].metrics["accuracy"] >= 0.9
    assert metrics["epochs"] == 6


def test_regression_is_measured_in_the_unit_of_the_targets(store):
    run = run_of(prepared=LINE, make=lambda: nn.Linear(3, 1), epochs=30, learning_rate=0.1)
    _, metrics = trained(run, store)
    assert metrics.keys() == {"rmse", "r2", "loss", "test_rmse", "test_r2", "train_loss", "epochs"}
    assert metrics["rmse"] < 30
    assert metrics["r2"] > 0.99


def test_rmse_and_r2_are_those_of_the_formulas(store):
    run = run_of(prepared=LINE, make=lambda: nn.Linear(3, 1), epochs=1)
    _, metrics = trained(run, store)
    model = nn.Linear(3, 1)
    model.load_state_dict(weights(store))
    split = LINE.data.valid
    with torch.inference_mode():
        predicted = LINE.targets.invert(model(LINE.inputs.apply(torch.tensor(split.inputs)))).numpy()
    error = ((predicted - split.targets) ** 2).mean()
    assert metrics["rmse"] == pytest.approx(error**0.5, rel=1e-4)
    assert metrics["r2"] == pytest.approx(1 - error / split.targets.var(), rel=1e-4)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"optimizer": "sgd", "learning_rate": 0.05, "augmentation": "flip_crop_cutout"},
        {"label_smoothing": 0.1, "gradient_clip": 0.5, "warmup": 1, "schedule": "constant"},
    ],
)
def test_an_interrupted_training_ends_bit_for_bit_like_an_unbroken_one(store, tmp_path, changes):
    other = LocalArtifacts(Folder(str(tmp_path / "other")), "test")
    unbroken, metrics = trained(run_of(epochs=4, **changes), store)
    trained(run_of(epochs=4, **changes), other, stop_after=2)
    resumed, again = trained(run_of(epochs=4, attempt=2, **changes), other)
    assert again == metrics
    assert [(m.step, m.metrics) for m in resumed] == [(m.step, m.metrics) for m in unbroken]
    assert same(weights(store), weights(other))


def test_a_killed_process_leaves_a_checkpoint_to_go_on_from(store, tmp_path):
    other = LocalArtifacts(Folder(str(tmp_path / "other")), "test")
    program = "import runpy, sys; runpy.run_path(sys.argv[1])['die_after_two_epochs'](sys.argv[2])"
    child = subprocess.run([sys.executable, "-c", program, __file__, str(tmp_path / "other")], timeout=60, check=False)
    assert child.returncode == -9
    resumed, metrics = trained(run_of(epochs=4, attempt=2), other)
    assert metrics == trained(run_of(epochs=4), store)[1]
    assert len(resumed) == 4
    assert same(weights(store), weights(other))


def die_after_two_epochs(folder):
    evaluation = train(run_of(epochs=4), LocalArtifacts(Folder(folder), "test"))
    next(evaluation)
    next(evaluation)
    os.kill(os.getpid(), signal.SIGKILL)


def test_checkpoints_may_be_rarer_than_epochs(store, tmp_path):
    other = LocalArtifacts(Folder(str(tmp_path / "other")), "test")
    trained(run_of(epochs=5, checkpoint_every=2), other, stop_after=3)
    resumed, metrics = trained(run_of(epochs=5, attempt=2, checkpoint_every=2), other)
    assert [m.step for m in resumed] == [1, 2, 3, 4, 5]
    assert metrics == trained(run_of(epochs=5), store)[1]


def test_without_a_checkpoint_a_second_attempt_starts_afresh(store):
    trained(run_of(checkpoint_every=0), store, stop_after=2)
    assert store.names() == []
    found, _ = trained(run_of(attempt=2, checkpoint_every=0), store)
    assert [m.step for m in found] == [1, 2, 3]


def test_a_first_attempt_ignores_an_old_checkpoint(store, tmp_path):
    other = LocalArtifacts(Folder(str(tmp_path / "other")), "test")
    trained(run_of(seed=9), store)
    trained(run_of(seed=5), store)
    trained(run_of(seed=5), other)
    assert same(weights(store), weights(other))


def test_a_trial_that_continues_another_reports_only_what_is_new(store):
    trained(run_of(number=3, budget=Budget(epochs=2)), store)
    found, metrics = trained(run_of(number=8, seed=99, continues=3, budget=Budget(epochs=5)), store)
    assert [m.step for m in found] == [3, 4, 5]
    assert metrics["epochs"] == 5


def test_with_schedule_epochs_continuing_equals_never_stopping(store):
    trained(run_of(number=1, budget=Budget(epochs=6), schedule_epochs=6), store)
    trained(run_of(number=3, budget=Budget(epochs=2), schedule_epochs=6), store)
    trained(run_of(number=8, seed=99, continues=3, budget=Budget(epochs=6), schedule_epochs=6), store)
    assert same(weights(store, 1), weights(store, 8))


def test_nothing_is_trained_where_the_continued_trial_has_the_epochs(store):
    _, first = trained(run_of(number=3), store)
    found, metrics = trained(run_of(number=8, continues=3), store)
    assert found == []
    assert metrics["accuracy"] == first["accuracy"]


def test_a_second_attempt_prefers_its_own_checkpoint(store):
    trained(run_of(number=3, budget=Budget(epochs=1)), store)
    trained(run_of(number=8, continues=3, budget=Budget(epochs=4)), store, stop_after=2)
    found, _ = trained(run_of(number=8, attempt=2, continues=3, budget=Budget(epochs=4)), store)
    assert [m.step for m in found] == [2, 3, 4]


def test_hyperparameters_may_change_where_a_trial_continues(store):
    trained(run_of(number=3, budget=Budget(epochs=1)), store)
    later = run_of(number=8, continues=3, budget=Budget(epochs=2), optimizer="sgd", learning_rate=0.01, batch_size=8)
    found, _ = trained(later, store)
    assert [m.step for m in found] == [2]


def test_another_network_cannot_go_on_from_a_checkpoint(store):
    trained(run_of(number=3, graph="g"), store)
    with pytest.raises(EvaluationError) as caught:
        trained(run_of(number=8, continues=3, graph="h"), store)
    assert str(caught.value) == "trial 8 cannot go on from trial 3: its network is another one"


@pytest.mark.parametrize("content", [b"nothing", b"junk", b"", b"PK\x03\x04", b"\x80\x02", b"\xff" * 2000])
def test_a_broken_checkpoint_is_named(store, tmp_path, content):
    path = tmp_path / "broken"
    path.write_bytes(content)
    store.put("0/checkpoint.pt", path)
    with pytest.raises(
        EvaluationError, match=r"the artifact 0/checkpoint.pt cannot be read: .*; delete it to start afresh"
    ):
        trained(run_of(attempt=2), store)


def test_a_checkpoint_of_a_newer_format_is_refused(store):
    from morphml_core.torch.checkpoint import save

    save(store, "0/checkpoint.pt", {"format": 2})
    with pytest.raises(EvaluationError) as caught:
        trained(run_of(attempt=2), store)
    assert str(caught.value) == "the checkpoint of trial 0 has the format 2; this version reads 1"


def test_the_seed_decides(store, tmp_path):
    other = LocalArtifacts(Folder(str(tmp_path / "other")), "test")
    trained(run_of(number=0, seed=1), store)
    trained(run_of(number=1, seed=2), store)
    trained(run_of(number=7, seed=1), other)
    assert not same(weights(store, 0), weights(store, 1))
    assert same(weights(store, 0), weights(other, 7))


def test_no_global_state_changes(store):
    before = torch.get_rng_state(), torch.get_num_threads(), np.random.get_state()[1].tolist()  # noqa: NPY002
    evaluation = train(run_of(threads=torch.get_num_threads() + 1), store)
    seen = [(torch.get_rng_state(), torch.get_num_threads()) for _ in evaluation]
    assert all(torch.equal(state, before[0]) and threads == before[1] for state, threads in seen)
    assert np.random.get_state()[1].tolist() == before[2]  # noqa: NPY002


def test_threads_are_the_trials_cpus_where_none_are_given():
    task = Task(0, Genotype(()), 0, resources=Resources(cpus=3.5))
    assert Run(task, network, "g", options(), IMAGES).threads == 3
    assert Run(task, network, "g", options(threads=2), IMAGES).threads == 2


def test_a_fraction_of_the_data_is_a_subset(store):
    seen = []

    class Watch(nn.Linear):
        def forward(self, x):
            if self.training:
                seen.append(x.detach().clone())
            return super().forward(x)

    make = lambda: nn.Sequential(nn.Flatten(), Watch(64, 4))  # noqa: E731
    trained(run_of(make=make, budget=Budget(epochs=3, fraction=0.5), batch_size=8), store)
    rows = torch.cat(seen).unique(dim=0)
    assert 0 < len(rows) <= round(0.5 * len(IMAGES.train))


def test_a_batch_larger_than_the_data_is_all_of_them():
    trainee = Trainee(network(), IMAGES, options(batch_size=1000), 1000, None, True)
    assert (trainee.batch, trainee.steps) == (len(IMAGES.train), 1)


def test_memory_that_runs_out_halves_the_batch_and_starts_the_epoch_again(store, caplog):
    sizes = []

    class Hungry(nn.Flatten):
        def forward(self, x):
            if self.training:
                sizes.append(len(x))
                if len(x) > 8:
                    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return super().forward(x)

    run = run_of(make=lambda: nn.Sequential(Hungry(), nn.Linear(64, 4)), batch_size=32)
    with caplog.at_level(logging.WARNING, "morphml_core.torch"):
        found, _ = trained(run, store)
    assert sizes[:3] == [32, 16, 8]
    assert set(sizes[2:]) == {8}
    assert [m.step for m in found] == [1, 2, 3]
    assert caplog.messages == [
        "memory ran out in epoch 1; it was started again with a batch of 16",
        "memory ran out in epoch 1; it was started again with a batch of 8",
    ]


def test_memory_that_runs_out_later_goes_back_one_epoch_only(store):
    calls = {"count": 0}

    class Hungry(nn.Flatten):
        def forward(self, x):
            calls["count"] += self.training
            if calls["count"] == 6:
                calls["count"] += 1
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
            return super().forward(x)

    training = Training(run_of(make=lambda: nn.Sequential(Hungry(), nn.Linear(64, 4)), batch_size=16), store)
    first = training.advance()
    saved = {key: value.clone() for key, value in training._saved["model"].items()}
    assert first["loss"] > 0
    second = training.advance()
    assert training.done == 2
    assert second != first
    assert training._saved["batch"] == 8
    assert not same(saved, training._saved["model"])
    assert training._saved["notes"] == ["memory ran out in epoch 2; it was started again with a batch of 8"]


def test_memory_that_is_never_enough_is_a_failure(store):
    class Hungry(nn.Flatten):
        def forward(self, x):
            raise MemoryError

    with pytest.raises(EvaluationError) as caught:
        trained(run_of(make=lambda: nn.Sequential(Hungry(), nn.Linear(64, 4)), batch_size=16), store)
    assert caught.value.cause == "out_of_memory"
    assert str(caught.value) == (
        "memory ran out with a batch of 8, and the next smaller one would be below minimum_batch: 8 (MemoryError)"
    )


def test_other_errors_are_not_taken_for_memory(store):
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        trained(run_of(make=lambda: nn.Sequential(nn.Flatten(), nn.Linear(63, 4))), store)


def test_a_loss_that_is_no_number_fails_with_a_sentence(store):
    make = lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 4))  # noqa: E731
    with pytest.raises(EvaluationError) as caught:
        trained(run_of(make=make, prepared=LINE_OF_NAN, optimizer="sgd", learning_rate=0.1), store)
    assert caught.value.cause == "error"
    assert str(caught.value) == (
        "the training loss became nan in epoch 1; try a smaller learning_rate, or gradient_clip: 1"
    )


def _broken():
    inputs = images().inputs.astype(np.float32)
    inputs[:] = np.float32(3e38) * np.sign(inputs - 100)
    return prepare(Data(Split(inputs, images().targets), None, None, Signature((1, 8, 8), 4)), 0.2, False, CPU)


LINE_OF_NAN = _broken()


def test_a_network_without_parameters_is_only_measured(store):
    make = lambda: nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten())  # noqa: E731
    _, metrics = trained(run_of(make=make), store)
    assert metrics["accuracy"] == 1.0


def test_biases_and_norms_do_not_decay():
    groups = decayed(network(), 0.3)
    assert [(len(group["params"]), group["weight_decay"]) for group in groups] == [(2, 0.3), (3, 0.0)]


def test_mixed_precision_is_off_on_the_cpu_unless_asked_for():
    assert precision("auto", CPU) is None
    assert precision("off", CPU) is None
    assert precision("bf16", CPU) is torch.bfloat16


def test_bf16_on_the_cpu_learns_too(store):
    _, metrics = trained(run_of(epochs=6, learning_rate=0.02, amp="bf16"), store)
    assert metrics["accuracy"] >= 0.8


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_is_an_error_of_the_system():
    with pytest.raises(OSError, match="No space left on device"):
        write({"weights": torch.zeros(100_000)}, Path("/dev/full"))
