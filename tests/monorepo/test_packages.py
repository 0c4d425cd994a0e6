"""The distributions agree with each other, with the README and with what CI runs."""

import re
import subprocess
import sys
import tomllib


def projects(root):
    return {path.parent.name: tomllib.loads(path.read_text()) for path in sorted(root.glob("morphml-*/pyproject.toml"))}


def test_versions_are_in_lock_step(root):
    import morphml_core

    found = projects(root)
    assert {project["project"]["version"] for project in found.values()} == {morphml_core.__version__}
    for name, project in found.items():
        ours = [need for need in project["project"]["dependencies"] if need.startswith("morphml-")]
        assert ours == ([] if name == "morphml-core" else [f"morphml-core=={morphml_core.__version__}"])


def test_every_distribution_is_typed_and_licensed(root):
    for name, project in projects(root).items():
        assert (root / name / "src" / name.replace("-", "_") / "py.typed").exists()
        assert project["project"]["license"] == "Apache-2.0"
        assert project["project"]["requires-python"] == ">=3.11"


def test_every_entry_point_has_its_module(root):
    for name, project in projects(root).items():
        for group in project["project"]["entry-points"].values():
            for target in group.values():
                module = target.split(":")[0].replace(".", "/")
                assert (root / name / "src" / f"{module}.py").exists(), target


def commands(root):
    return re.findall(r"^    (python3 -m venv .*)$", (root / "README.md").read_text(), flags=re.MULTILINE)


def test_the_readme_has_two_commands_and_ci_runs_the_second(root):
    first, second = commands(root)
    assert first.endswith("morphml run examples/digits.yaml")
    assert second in (root / ".ci" / "run").read_text()


def test_importing_the_core_imports_nothing_heavy():
    code = "import sys, morphml_core; print(sorted({name.split('.')[0] for name in sys.modules}))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for library in ("torch", "numpy", "sqlalchemy", "sklearn", "plotly", "rich", "click", "pebble", "attrs", "cattrs"):
        assert f"'{library}'" not in run.stdout


def test_the_public_names_are_these_and_each_loads():
    import morphml_core

    assert morphml_core.__all__ == [
        "Budget", "Candidate", "ConfigurationError", "Constraint", "DecisionSpace", "Experiment", "Genotype",
        "MorphMLError", "Objective", "Problem", "Proposal", "Task", "Trial", "open_experiment", "search", "__version__",
    ]  # fmt: skip
    for name in morphml_core.__all__:
        assert getattr(morphml_core, name) is not None


def test_torch_is_pinned_in_one_place(root):
    pinned = [
        path.name
        for pattern in ("*.txt", "*.toml", "*.ini", "morphml-*/pyproject.toml")
        for path in root.glob(pattern)
        if "torch==" in path.read_text()
    ]
    assert pinned == ["constraints.txt"]
