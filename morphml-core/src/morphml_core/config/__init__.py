"""Configurations: from a file, or a mapping, to components that are loaded and ready to be built.

`read_configuration` (or `from_mapping`) is stage one: every section, with references to components.  `resolve` is stage two: the components
loaded, their options structured; `resolve_file` and `resolve_mapping` are both stages at once.  All of them say everything that is wrong at once, with file and line.
"""

from morphml_core.config.configuration import Configuration, difference
from morphml_core.config.reading import from_mapping, read_configuration
from morphml_core.config.resolving import Resolved, resolve, resolve_file, resolve_mapping
from morphml_core.config.sections import Finalists, Limits, Reproducible, Retries, Stop

__all__ = [
    "Configuration",
    "Finalists",
    "Limits",
    "Reproducible",
    "Resolved",
    "Retries",
    "Stop",
    "difference",
    "from_mapping",
    "read_configuration",
    "resolve",
    "resolve_file",
    "resolve_mapping",
]
