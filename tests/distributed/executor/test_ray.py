"""The tests of the executor `ray`, in a process of their own (`ray_suite.py`).

Ray starts its processes by fork, with Python code in the child, which waits for ever for a lock that another thread held at that moment. The
threads that gRPC and Dask leave behind in other tests are many; a process that begins with Ray has none of them.
"""

import subprocess
import sys
from pathlib import Path

import pytest

SUITE = Path(__file__).with_name("ray_suite.py")


@pytest.mark.timeout(600)
def test_the_suite_of_ray():
    pytest.importorskip("ray")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", str(SUITE)]
    done = subprocess.run(command, cwd=SUITE.parents[3], capture_output=True, text=True, timeout=580, check=False)
    assert done.returncode == 0, done.stdout[-8000:]
