import attrs
import pytest

from morphml_core.errors import BrokenComponentError, ConfigurationError, PluginError
from morphml_core.plugins.catalogue import Catalogue
from morphml_core.plugins.component import ComponentRef, optimizer
from morphml_core.plugins.loader import Loader
from morphml_core.plugins.objects import described

CODE = """
import attrs
from morphml_core.plugins.component import optimizer, space as space_component
from beside import NAME

class Space:
    decisions = ()
    operations = None
    def __init__(self, width=3, *, depth=1):
        self.width, self.depth = width, depth
    def express(self, genotype):
        return NAME

space = Space()

def make(width, depth=2):
    return Space(width, depth=depth)

def wrong():
    return {"a": 1}

class Climb:
    def __init__(self, problem, steps=5):
        self.problem, self.steps = problem, steps
    def ask(self, numbers, pending): return []
    def tell(self, trials): pass

@attrs.frozen
class Config:
    steps: int = 5

component = optimizer(Config, lambda config, problem: Climb(problem, config.steps))
number = 5
"""


@pytest.fixture
def loader(tmp_path):
    (tmp_path / "beside.py").write_text("NAME = 'from beside'\n")
    (tmp_path / "mine.py").write_text(CODE)
    return Loader(Catalogue(), tmp_path)


def load(loader, kind, given, **options):
    return loader.load(ComponentRef(kind, "python", {"python": given, **options}, "a.yaml:3"))


def refused(loader, kind, given, **options):
    with pytest.raises(ConfigurationError) as found:
        load(loader, kind, given, **options)
    return str(found.value)


def test_a_ready_object_of_a_file(loader):
    made = load(loader, "space", "mine.py:space").create()
    assert (made.width, made.express(None)) == (3, "from beside")


def test_a_function_takes_the_other_keys(loader):
    made = load(loader, "space", "mine.py:make", width=7).create()
    assert (made.width, made.depth) == (7, 2)


def test_a_class_gets_its_collaborators_first(loader):
    made = load(loader, "optimizer", "mine.py:Climb", steps=2).create("the problem")
    assert (made.problem, made.steps) == ("the problem", 2)


def test_a_component_structures_the_other_keys(loader):
    assert load(loader, "optimizer", "mine.py:component", steps=9).create(None).steps == 9
    assert refused(loader, "optimizer", "mine.py:component", steps="9") == (
        "a.yaml:3: optimizer 'mine.py:component': 'steps' must be a whole number, but it is '9' (a string)"
    )


def test_a_module_beside_the_configuration(loader):
    assert load(loader, "space", "mine:space").create().width == 3


def test_two_references_share_one_module(loader):
    first = load(loader, "space", "mine.py:space").create()
    second = load(loader, "space", "mine.py:Space").create()
    assert type(first) is type(second)


def test_a_changed_file_is_read_again(loader, tmp_path):
    import os

    load(loader, "space", "mine.py:space")
    (tmp_path / "mine.py").write_text(CODE.replace("width=3", "width=4"))
    os.utime(tmp_path / "mine.py", ns=(1, 1))
    assert load(loader, "space", "mine.py:space").create().width == 4


@pytest.mark.parametrize(
    ("kind", "given", "options", "message"),
    [
        ("space", "mine.py:make", {"widht": 1}, "'mine.py:make' has no option 'widht'; did you mean 'width'?"),
        ("space", "mine.py:make", {}, "'mine.py:make' cannot be called as (): missing a required argument: 'width'"),
        ("space", "mine.py:space", {"a": 1}, "space 'mine.py:space' has no option 'a'; it takes none"),
        (
            "space",
            "mine.py:number",
            {},
            "'mine.py:number' is 5 (a whole number), which is no space: it has no 'decisions'",
        ),
        (
            "space",
            "mine.py:component",
            {},
            (
                "'mine.py:component' is a component of kind 'optimizer', where a space is needed; "
                "make it with the helper 'space' of morphml_core.plugins.component"
            ),
        ),
        ("space", "mine.py", {}, "'mine.py' names no Python object; write module:name or file.py:name"),
    ],
)
def test_what_does_not_fit(loader, kind, given, options, message):
    assert refused(loader, kind, given, **options) == f"a.yaml:3: {message}"


def test_files_that_cannot_be_used(loader, tmp_path):
    (tmp_path / "bad.py").write_text("1 / 0\n")
    (tmp_path / "quits.py").write_text("raise SystemExit(2)\n")
    assert refused(loader, "space", "absent.py:x") == (
        f"a.yaml:3: 'absent.py:x' cannot be imported: there is no file {tmp_path}/absent.py"
    )
    assert (
        refused(loader, "space", "bad.py:x")
        == "a.yaml:3: 'bad.py:x' cannot be imported: ZeroDivisionError: division by zero (line 1 of bad.py)"
    )
    assert (
        refused(loader, "space", "quits.py:x")
        == "a.yaml:3: 'quits.py:x' cannot be imported: SystemExit: 2 (line 1 of quits.py)"
    )
    assert refused(loader, "space", "absent_module:x") == (
        "a.yaml:3: 'absent_module:x' cannot be imported: ModuleNotFoundError: No module named 'absent_module'"
    )
    assert refused(loader, "space", "beside.py:x") == (
        "a.yaml:3: 'beside.py:x' cannot be imported: beside.py has no 'x'; there are NAME"
    )


def test_what_a_function_gives_must_fit(loader):
    part = load(loader, "space", "mine.py:wrong")
    with pytest.raises(BrokenComponentError) as found:
        part.create()
    assert str(found.value) == "'mine.py:wrong' gave a mapping, which is no space: it has no 'decisions'"


@attrs.frozen
class Config:
    steps: int = 1


class Climb:
    def __init__(self, config, problem):
        self.config = config

    def ask(self, numbers, pending):
        return []

    def tell(self, trials):
        pass


def test_live_objects():
    loader = Loader(Catalogue())
    ready = Climb(None, None)
    assert load(loader, "optimizer", ready).create("problem") is ready
    assert load(loader, "optimizer", optimizer(Config, Climb), steps=3).create(None).config.steps == 3
    part = load(loader, "optimizer", ready)
    assert load(loader, "optimizer", part) is part
    assert refused(loader, "optimizer", 5) == (
        "a.yaml:3: the object given as optimizer is 5 (a whole number), which is no optimizer: it has no 'ask'"
    )
    assert (
        refused(loader, "optimizer", ready, a=1)
        == "a.yaml:3: optimizer given as an object has no option 'a'; it takes none"
    )


def test_live_objects_in_words():
    assert described(Climb) == f"{__name__}:Climb"
    assert described(Climb(None, None)) == f"{__name__}:Climb"
    assert described(PluginError("x")) == "morphml_core.errors:PluginError"
