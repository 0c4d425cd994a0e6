import importlib.util
import json
import re
import shutil
import subprocess
import time

import attrs
import pytest

from morphml_core.errors import MorphMLError
from morphml_core.problem import Objective, Problem
from morphml_core.report import drawing, page, plots
from morphml_core.report.importance import importance
from morphml_core.space.decisions import Decision, DecisionSpace
from morphml_core.space.domains import Choice, Integer, Real, Subset
from morphml_core.space.space import SearchSpace

pytest.importorskip("plotly")
pytest.importorskip("jinja2")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def titles(text):
    return re.findall(r"<h2>(.*?)</h2>", text)


def data(text, key):
    found = re.search(rf'<script type="application/json" id="{key}-data">(.*?)</script>', text, re.DOTALL)
    return json.loads(found[1])


@pytest.fixture(scope="module")
def text(material):
    return page.render(material)


def test_the_sections_of_a_search_with_two_objectives(text):
    assert titles(text) == [
        "Summary", "Best accuracy so far", "Best parameters so far", "parameters against accuracy", "Learning curves", "The best network",
        "Decisions and objectives", "What matters for accuracy", "What matters for parameters", "Finalists", "Failures by cause", "Trials",
        "Configuration",
    ]  # fmt: skip


def test_nothing_is_loaded_from_a_network(text):
    assert not re.search(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=(?!\"data:)", text.split("/**", 1)[0])
    assert "Content-Security-Policy" in text
    assert "connect-src" not in text.split("</head>")[0]
    assert "default-src 'none'" in text


def test_what_users_write_is_escaped(text):
    assert "<script>alert(" not in text
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" in text
    assert any("<script>alert('x')</script>" in str(row[-1]) for row in data(text, "trials")["rows"])


def test_nasty_names_are_escaped_everywhere(make_search, make_material):
    evil = "</script><img src=x onerror=alert(1)>"
    space = SearchSpace(
        DecisionSpace(
            [Decision(evil, Choice((evil, "b"))), Decision("y", Real(0, 1)), Decision("z", Subset((evil, "c")))]
        )
    )
    problem = Problem(space, [Objective(evil)])
    base = make_search(12)
    trials = [
        attrs.evolve(trial, genotype=problem.decisions.sample(problem.rng(trial.number)), metrics={evil: float(trial.number)}, curve=((1, {evil: 1.0}), (2, {evil: 2.0})))
        for trial in base.state.trials.values()
    ]  # fmt: skip
    held = attrs.evolve(
        make_material(base), experiment=evil, problem=problem, trials=trials, best=trials[3], front=(), finalists=(), reason=evil,
        configuration={evil: evil}, versions={evil: evil},
    )  # fmt: skip
    assert evil not in page.render(held)


@pytest.mark.parametrize("trials", [0, 1, 2, 8])
def test_few_trials_make_a_page(trials, make_search, make_material):
    text = page.render(make_material(make_search(trials, 2)))
    assert ("No results yet" in titles(text)) == (trials == 0)
    assert ("No trial has succeeded: none has been made yet." in text) == (trials == 0)


def test_only_failures_make_a_page(make_search, make_material):
    held = make_material(make_search(8))
    failed = attrs.evolve(held, trials=[attrs.evolve(held.trials[7], number=0)], best=None, front=())
    assert titles(page.render(failed)) == ["Summary", "No results yet", "Failures by cause", "Trials", "Configuration"]


def test_missing_metrics_and_spaces_without_graph(make_search, make_material):
    space = SearchSpace(
        DecisionSpace(
            [Decision("x", Real(0, 1)), Decision("n", Integer(1, 64, log=True)), Decision("s", Subset(("a", "b")))]
        )
    )
    problem = Problem(space, [Objective("accuracy"), Objective("latency", "minimize")])
    base = make_material(make_search(20))
    trials = [
        attrs.evolve(t, genotype=problem.decisions.sample(problem.rng(t.number)), metrics={"accuracy": 0.1} if t.number % 2 else {"latency": 3.0})
        for t in base.trials
    ]  # fmt: skip
    text = page.render(
        attrs.evolve(base, problem=problem, trials=trials, best=trials[1], front=[trials[1]], finalists=())
    )
    assert "The best network" not in titles(text)
    assert "latency against accuracy" not in titles(text)
    assert "Best latency so far" in titles(text)


def test_three_objectives_have_a_plot_a_pair(make_search, make_material):
    search = make_search(10, 2)
    problem = Problem(
        search.problem.space,
        [Objective("accuracy"), Objective("parameters", "minimize"), Objective("seconds", "minimize")],
    )
    held = make_material(search)
    trials = [attrs.evolve(t, metrics={**t.metrics, "seconds": 1.0}) if t.metrics else t for t in held.trials]
    found = plots.fronts(attrs.evolve(held, problem=problem, trials=trials, front=[trials[0]]))
    assert [title for title, _ in found] == [
        "parameters against accuracy",
        "seconds against accuracy",
        "seconds against parameters",
    ]


def test_the_network_is_drawn_with_operations_and_shapes(material):
    graph = material.problem.candidate(material.best.genotype).graph
    figure = drawing.network(graph, material.problem.space.operations, material.signature)
    texts = [annotation.text for annotation in figure.layout.annotations if annotation.text]
    assert texts[0] == '<b>input</b><br><span style="opacity:0.65">1×8×8</span>'
    assert any(text.startswith("<b>conv</b> ") for text in texts)
    assert texts[-1].endswith('<span style="opacity:0.65">10</span>')


def test_a_network_without_signature_is_drawn_without_shapes(material):
    graph = material.problem.candidate(material.best.genotype).graph
    figure = drawing.network(graph, material.problem.space.operations)
    texts = [annotation.text for annotation in figure.layout.annotations if annotation.text]
    assert texts[0] == "<b>input</b>"
    assert texts[-1] == "<b>output</b>"


def test_parallel_coordinates_show_the_decisions_that_matter(material):
    figure, count = plots.parallel(material, importance(material.problem, material.trials, Objective("accuracy")))
    labels = [axis.label for axis in figure.data[0].dimensions]
    assert labels[-2:] == ["<b>accuracy</b>", "<b>parameters</b>"]
    assert "hyperparameters.learning_rate" in labels
    assert count == len(figure.data[0].line.color)
    for axis in figure.data[0].dimensions:
        if axis.range:
            low, high = axis.range
            assert all(low <= place <= high for place in (*axis.values, *axis.tickvals))


def test_ten_thousand_trials_stay_small_and_quick(make_search, make_material):
    held = make_material(make_search(200, 2))
    trials = [attrs.evolve(held.trials[number % 200], number=number) for number in range(10_000)]
    start = time.perf_counter()
    text = page.render(attrs.evolve(held, trials=trials))
    assert time.perf_counter() - start < 30
    from plotly.offline import get_plotlyjs

    assert len(text) - len(get_plotlyjs()) < 8_000_000
    assert "The best 2,500 of 10,000 trials are here" in text


def test_without_plotly_the_error_says_what_to_install(material, monkeypatch):
    monkeypatch.setattr(page, "find_spec", lambda name: None)
    with pytest.raises(MorphMLError) as caught:
        page.render(material)
    assert (
        str(caught.value) == "a report needs plotly and jinja2; install them with: pip install 'morphml-core[report]'"
    )
    assert importlib.util.find_spec("plotly") is not None


def test_a_file_that_cannot_be_written(material, tmp_path):
    with pytest.raises(MorphMLError) as caught:
        page.write(material, tmp_path)
    assert str(caught.value) == f"cannot write the report to {tmp_path}: Is a directory; name another file"


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_the_page_draws_itself_in_a_browser_without_a_complaint(material, tmp_path):
    path = page.write(material, tmp_path / "report.html")
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1300,3000",
        "--virtual-time-budget=20000", "--enable-logging=stderr", "--dump-dom", path.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    complaints = [line for line in done.stderr.splitlines() if "CONSOLE" in line and "GPU stall" not in line]
    assert complaints == []
    assert 'data-ready="yes"' in done.stdout
    drawn = re.findall(r'<div class="plot[^"]*js-plotly-plot', done.stdout)
    assert len(drawn) == len(re.findall(r'data-figure="', done.stdout)) == 8
    assert "1 to 50 of 63" in done.stdout
    assert 'data-title="Download plot as a PNG"' in done.stdout or "toImage" in done.stdout
    assert not re.search(r'data-title="[^"]*(Cloud|Studio)', done.stdout)
