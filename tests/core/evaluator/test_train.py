import subprocess
import sys

import cloudpickle
import pytest

from morphml_core.artifacts.local import Config as Folder
from morphml_core.artifacts.local import LocalArtifacts
from morphml_core.errors import ConfigurationError, EvaluationError, ShapeError
from morphml_core.evaluator.train import Train
from morphml_core.plugins.component import ComponentRef
from morphml_core.plugins.loader import Loader
from morphml_core.problem import Budget, Objective, Problem, Task
from morphml_core.protocols import Exporter, Workbench
from morphml_core.space.language import chain, choice, integer, op, real, space

LAYERS = [
    op("conv", channels=choice(4, 8), name="first"),
    "batch_norm",
    "relu",
    op("conv", channels=8, stride=2),
    "relu",
]


def searched(**hyperparameters):
    return space(chain(*LAYERS), hyperparameters=hyperparameters or None)


def part(**options):
    given = {"dataset": "digits", "epochs": 2, "device": "cpu", **options}
    return Loader().load(ComponentRef("evaluator", "train", given))


def genotype_of(found):
    import numpy as np

    return found.decisions.sample(np.random.default_rng(0))


def finish(evaluation):
    steps = []
    while True:
        try:
            steps.append(next(evaluation))
        except StopIteration as end:
            return steps, end.value


@pytest.fixture
def bench(tmp_path):
    return Workbench(LocalArtifacts(Folder(str(tmp_path / "artifacts")), "test"))


def test_a_candidate_is_trained_and_costed(bench):
    pytest.importorskip("torch")
    found = searched()
    evaluator = part().create(found)
    genotype = genotype_of(found)
    candidate = found.express(genotype)
    steps, metrics = finish(evaluator.evaluate(Task(0, genotype, 1), candidate, bench))
    assert [m.step for m in steps] == [1, 2]
    assert metrics.keys() == {
        "accuracy", "loss", "test_accuracy", "train_loss", "epochs", "seconds", "parameters", "flops", "activation_memory",
    }  # fmt: skip
    known = evaluator.known(candidate)
    assert {name: metrics[name] for name in known} == known
    assert bench.artifacts.names() == ["0/checkpoint.pt", "0/model.pt"]
    assert isinstance(evaluator, Exporter)


def test_costs_are_known_without_torch_and_without_loading_data():
    program = """
import sys
import numpy as np
from morphml_core.plugins.component import ComponentRef
from morphml_core.plugins.loader import Loader
from morphml_core.space.language import chain, op, space

found = space(chain(op("conv", channels=4), "relu"))
evaluator = Loader().load(ComponentRef("evaluator", "train", {"dataset": "digits"})).create(found)
print(evaluator.known(found.express(found.decisions.sample(np.random.default_rng(0))))["parameters"])
print([name for name in ("torch", "sklearn", "PIL") if name in sys.modules])
"""
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert output.splitlines() == ["86", "[]"]


def test_budget_is_the_number_of_epochs():
    assert part(epochs=7).create(searched()).budget == Budget(epochs=7)


def test_hyperparameters_replace_options_of_the_same_name():
    found = searched(learning_rate=real(0.01, 0.02), batch_size=choice(16, 32), augmentation=choice("shift", "none"))
    evaluator = part(learning_rate=0.5).create(found)
    candidate = found.express(genotype_of(found))
    settings = evaluator.settings(candidate)
    assert 0.01 <= settings.learning_rate <= 0.02
    assert settings.batch_size in (16, 32)
    assert settings.augmentation in ("shift", "none")


def refusal(create):
    with pytest.raises(ConfigurationError) as caught:
        create()
    return [complaint.message for complaint in caught.value.complaints]


def test_unknown_hyperparameters_and_values_are_refused_at_once():
    found = searched(
        learnig_rate=real(0.1, 0.2), batch_size=choice(16, "big"), momentum=real(0.5, 2.0), optimizer=integer(1, 2)
    )
    assert refusal(lambda: part().create(found)) == [
        (
            "the space has the hyperparameter 'learnig_rate', which the evaluator 'train' does not know; it knows augmentation, "
            "batch_size, gradient_clip, label_smoothing, learning_rate, momentum, optimizer, schedule, warmup, weight_decay"
        ),
        "the hyperparameter 'batch_size' cannot be 'big'; it is a whole number",
        "a hyperparameter of the space is not allowed: 'momentum' must be < 1: 2.0",
        "the hyperparameter 'optimizer' cannot be 1; it is a word",
    ]


def test_a_space_without_networks_is_refused():
    parameters = (
        Loader()
        .load(ComponentRef("space", "parameters", {"decisions": {"learning_rate": {"real": [0.1, 1]}}}))
        .create()
    )
    assert refusal(lambda: part().create(parameters)) == [
        "the evaluator 'train' trains networks, but the space has no graph; choose a space of networks such as chain or cnn"
    ]


def test_options_are_checked():
    options = {"epochs": 0, "optimizer": "adam", "learning_rate": -1.0, "amp": "int8", "holdout": 0.9}
    messages = refusal(lambda: part(**options))
    assert messages == [
        "evaluator 'train': 'epochs' must be >= 1: 0",
        "evaluator 'train': 'optimizer' must be one of 'adamw', 'sgd', but it is 'adam' (a string); did you mean 'adamw'?",
        "evaluator 'train': 'learning_rate' must be > 0: -1.0",
        "evaluator 'train': 'holdout' must be < 0.5: 0.9",
        "evaluator 'train': 'amp' must be one of 'auto', 'off', 'bf16', 'fp16', but it is 'int8' (a string)",
    ]


def test_networks_that_no_sample_fits_are_invalid():
    found = space(chain("flatten", op("conv", channels=4)))
    evaluator = part().create(found)
    with pytest.raises(ShapeError):
        evaluator.known(found.express(genotype_of(found)))


def test_augmentation_needs_images(tmp_path, bench):
    pytest.importorskip("torch")
    path = tmp_path / "table.csv"
    path.write_text("x,y\n" + "\n".join(f"{i},{i % 2}" for i in range(60)))
    found = space(chain(op("dense", units=4), "relu"))
    options = {"dataset": {"name": "csv", "path": str(path)}, "augmentation": "shift"}
    evaluator, genotype = part(**options).create(found), genotype_of(found)
    with pytest.raises(EvaluationError) as caught:
        finish(evaluator.evaluate(Task(0, genotype, 1), found.express(genotype), bench))
    assert (
        str(caught.value)
        == "augmentation: shift needs images (channels, height, width), but a sample has the shape (1,)"
    )


def test_cuda_that_is_not_there_is_said(bench):
    torch = pytest.importorskip("torch")

    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    found = searched()
    evaluator, genotype = part(device="cuda").create(found), genotype_of(found)
    with pytest.raises(EvaluationError) as caught:
        finish(evaluator.evaluate(Task(0, genotype, 1), found.express(genotype), bench))
    assert str(caught.value) == "device: cuda was asked for, but torch finds no CUDA device; use auto or cpu"


def test_it_travels_to_another_process_without_the_data():
    found = searched()
    evaluator = part().create(found)
    loaded = evaluator.data
    assert evaluator.data is loaded
    copy = cloudpickle.loads(cloudpickle.dumps(evaluator))
    assert isinstance(copy, Train)
    assert len(cloudpickle.dumps(evaluator)) < 20_000
    assert copy.signature == evaluator.signature


def test_missing_data_is_a_sentence(tmp_path, bench):
    pytest.importorskip("torch")
    found = searched()
    evaluator = part(dataset={"name": "fashion_mnist", "folder": str(tmp_path)}).create(found)
    genotype = genotype_of(found)
    candidate = found.express(genotype)
    assert evaluator.known(candidate)["parameters"] > 0
    with pytest.raises(EvaluationError, match="install Debian's package dataset-fashion-mnist"):
        finish(evaluator.evaluate(Task(0, genotype, 1), candidate, bench))


def test_the_same_seed_gives_the_same_metrics(bench):
    pytest.importorskip("torch")
    found = searched()
    problem = Problem(found, [Objective("accuracy")])
    genotype = genotype_of(found)
    results = []
    for number in (0, 1):
        evaluator = part().create(found)
        _, metrics = finish(
            evaluator.evaluate(Task(number, genotype, problem.seed_of(4)), found.express(genotype), bench)
        )
        results.append({name: value for name, value in metrics.items() if name != "seconds"})
    assert results[0] == results[1]
