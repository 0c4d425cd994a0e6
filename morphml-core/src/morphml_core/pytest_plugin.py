"""The pytest plugin of MorphML: failed assertions of the conformance suites show their values, as those of test files do.

It stands beside `testing`, not in it, because pytest has to know before that package is imported.
"""

import pytest

pytest.register_assert_rewrite("morphml_core.testing")
