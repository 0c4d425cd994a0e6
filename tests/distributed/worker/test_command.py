"""The options of `morphml worker`."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from morphml_core.cli import main


def refused(*options):
    done = CliRunner().invoke(main, ["worker", *options])
    assert done.exit_code == 2
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ([], "Error: Missing option '--master'."),
        (["--master", "host"], "Error: Invalid value for '--master': 'host' is not an address; write HOST:PORT, such as 10.0.0.1:4567"),
        (["--master", "host:1", "--memory", "much"], "Error: Invalid value for '--memory': 'much' is not a size; write 8GiB, 500MB or a number of bytes"),
        (["--master", "host:1", "--deadline", "soon"], "Error: Invalid value for '--deadline': 'soon' is not a duration; write 30s, 10m or 1h"),
        (["--master", "host:1", "--gpus", "0,0"], "Error: Invalid value for '--gpus': '0,0' names no GPUs; write how many (2), or distinct ids with commas between (0,3)"),
        (["--master", "host:1", "--cpus", "0"], "Error: Invalid value for '--cpus': 0.0 is not in the range 0.0<x<=1000000.0."),
        (["--master", "host:1", "--name", ""], "Error: Invalid value for '--name': names are 1 to 200 printable characters"),
        (["--master", "host:1", "--label", "a\nb"], "Error: Invalid value for '--label': labels are 1 to 200 printable characters"),
        (["--master", "127.0.0.1:1", "--certificate", "w.pem"], "Error: TLS needs 'authority', 'certificate' and 'key', but 'authority' and 'key' are missing; `morphml cluster init` makes all of them"),
        (["--master", "127.0.0.1:1", "--token-file", "/nowhere"], "Error: the token file /nowhere cannot be read: No such file or directory"),
        (["--master", "127.0.0.1:1", "--log", "/nowhere/log"], "Error: the log cannot be written to /nowhere/log: No such file or directory"),
    ],
)  # fmt: skip
def test_options_that_cannot_be(options, error):
    assert refused(*options) == error


def test_a_plain_connection_to_another_machine():
    assert refused("--master", "192.0.2.1:7077") == (
        "Error: there is no connection to the master at 192.0.2.1:7077 without TLS, as it is beyond this machine; give 'authority', "
        "'certificate', 'key' and 'token_file' (`morphml cluster init` makes these files), or say 'insecure: true' where everybody on "
        "the network is trusted"
    )


def test_help_imports_no_grpc():
    code = "import sys; import morphml_distributed.cli.worker; print([n for n in ('grpc', 'psutil', 'torch') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
