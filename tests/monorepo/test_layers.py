"""Dependencies run in one direction: a module imports its own layer's package or lower layers, never higher ones."""

BUILT_INS = {
    "operations", "storage", "optimizer", "stopper", "executor", "evaluator", "dataset", "artifacts", "cache", "torch",
}  # fmt: skip
LAYERS = {
    "errors": 0,
    "graph": 1,
    "space.domains": 2,
    "space.decisions": 3,
    "problem": 4,
    "protocols": 5,
    "splits": 6,
    "plugins": 6,
    "work": 7,
    "space": 7,
    **dict.fromkeys(BUILT_INS, 7),
    "experiment": 8,
    "testing": 9,
    "pytest_plugin": 9,
    "config": 9,
    "assembly": 10,
    "report": 10,
    "session": 11,
    "cli": 12,
}
# What only values need: an event is stored by `storage` and described by `protocols`.
VALUES = {"experiment.events": 5, "experiment.codec": 5}
HEAVY = {
    "torch",
    "sqlalchemy",
    "grpc",
    "boto3",
    "sklearn",
    "plotly",
    "rich",
    "pebble",
    "PIL",
    "jinja2",
    "scipy",
    "onnx",
}
# The folders of a distribution that import such a library when they are loaded; who needs it elsewhere imports it in a function.
HOMES = {
    "grpc": {"wire", "security", "master", "worker"},
    "torch": {"torch"},
    "sqlalchemy": {"storage"},
    "rich": {"cli"},
    "plotly": {"report"},
    "jinja2": {"report"},
}


def layer(name: str) -> tuple[str, int] | None:
    inner = name.removeprefix("morphml_core").removeprefix(".")
    known = {**LAYERS, **VALUES}
    for length in range(len(inner.split(".")), 0, -1):
        prefix = ".".join(inner.split(".")[:length])
        if prefix in known:
            return prefix.split(".")[0], known[prefix]
    return None


def test_every_module_has_a_layer(modules):
    homeless = [m.name for m in modules if m.name.startswith("morphml_core.") and layer(m.name) is None]
    assert homeless == []


def test_imports_never_go_up(modules):
    wrong = []
    for module in modules:
        home = layer(module.name) if module.name.startswith("morphml_core.") else None
        if home is None:
            continue
        for found in module.imports():
            other = layer(found.module) if found.module.startswith("morphml_core.") else None
            if other is None or other[0] == home[0] or not found.at_load:
                continue
            if other[1] > home[1] or (other[1] == home[1] and home[0] in BUILT_INS):
                wrong.append(f"{module.name} imports {found.module}")
    assert wrong == []


def test_heavy_libraries_are_imported_where_they_are_used(modules):
    wrong = []
    for module in modules:
        part = module.name.split(".")[1] if "." in module.name else ""
        for found in module.imports():
            library = found.module.split(".")[0]
            if library in HEAVY and found.at_load and part not in HOMES.get(library, set()):
                wrong.append(f"{module.name} imports {found.module} when it is loaded")
    assert wrong == []


def test_the_state_machine_of_dispatch_is_pure(modules):
    impure = ("time", "threading", "asyncio", "socket", "grpc", "os", "logging", "datetime")
    found = [
        f"{module.name} imports {each.module}"
        for module in modules
        if module.name.startswith("morphml_distributed.dispatch")
        for each in module.imports()
        if each.module.split(".")[0] in impure
    ]
    assert found == []


def test_core_does_not_know_its_plugins(modules):
    wrong = [
        f"{module.name} imports {found.module}"
        for module in modules
        if module.name.startswith("morphml_core")
        for found in module.imports()
        if found.module.startswith("morphml_") and not found.module.startswith("morphml_core")
    ]
    assert wrong == []
