"""`morphml worker` as a process: signals, and what is left of it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

MORPHML = str(Path(sys.executable).with_name("morphml"))


def pid_of(stream, until):
    """The process in which trial 1 runs, by the result of trial 99."""
    until(lambda: [result for result in stream.of("result") if result.number == 99], "a result", 30)
    return next(int(result.metrics.values["pid"]) for result in stream.of("result") if result.number == 99)


def gone(pid):
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def children(process):
    return [child.pid for child in psutil.Process(process.pid).children(recursive=True)]


def busy(master, spawn, assign, until, *options):
    """A worker that runs trial 1, which does not end by itself; its stream, and its child processes."""
    process = spawn(*options)
    stream = master.stream(seconds=30.0)
    stream.say(assign(1, serial=1, steps=10_000, pause=0.01))
    until(lambda: stream.of("report"), "a report", 30)
    found = children(process)
    assert len(found) == 1
    return process, stream, found


def test_sigterm_lets_the_trial_end(master, spawn, assign, until):
    process = spawn()
    stream = master.stream(seconds=30.0)
    stream.say(assign(1, serial=1, steps=50, pause=0.01))
    until(lambda: stream.of("report"), "a report", 30)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert stream.of("result")[0].metrics.values["value"] == 1.0
    assert stream.of("draining")[0].reason == "it was told to by SIGTERM"
    assert stream.frames[-1].WhichOneof("kind") == "goodbye"
    lines = output.splitlines()
    assert (lines[1:3], lines[3].startswith("trial 1 ends in 0."), lines[4:]) == (
        ["trial 1 begins", "leaving: it was told to by SIGTERM"], True, ["left"],
    )  # fmt: skip


def test_the_deadline_ends_the_trial(master, spawn, assign, until):
    process, stream, found = busy(master, spawn, assign, until, "--deadline", "300ms")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=20)
    assert (process.returncode, stream.of("result")) == (0, [])
    assert "its trials have not ended within 0.3 s: they end now\nleft\n" in output
    assert all(gone(pid) for pid in found)


def test_a_second_signal_ends_at_once(master, spawn, assign, until):
    process, stream, found = busy(master, spawn, assign, until)
    process.send_signal(signal.SIGTERM)
    until(lambda: stream.of("draining"))
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 128 + signal.SIGTERM
    assert output.endswith("ends at once\n")
    assert all(gone(pid) for pid in found)


def test_kill_leaves_no_children(master, spawn, assign, until):
    process, _, found = busy(master, spawn, assign, until)
    process.kill()
    process.wait()
    until(lambda: all(gone(pid) for pid in found), "the end of the children")


def test_a_worker_that_stood_still_joins_again_with_its_result(master, spawn, assign, until):
    process = spawn()
    stream = master.stream(seconds=30.0)
    stream.say(assign(1, serial=1, steps=30, pause=0.01))
    until(lambda: stream.of("report"), "a report", 30)
    process.send_signal(signal.SIGSTOP)
    master.shut()
    master.script.term = 2
    master.open()
    process.send_signal(signal.SIGCONT)
    again = master.stream(2)
    until(lambda: again.of("result"), "a result")
    assert [(held.number, held.lease.term) for held in again.hello.held] == [(1, 1)]
    assert again.of("result")[0].metrics.values["value"] == 1.0


def test_a_child_that_dies_is_a_lost_trial(master, spawn, assign, until):
    spawn()
    stream = master.stream(seconds=30.0)
    stream.say(assign(1, "kill", serial=1), assign(2, serial=2))
    until(lambda: len(stream.of("result")) == 2, "two results", 30)
    found = {result.number: result for result in stream.of("result")}
    assert (found[1].cause, found[1].message) == ("lost", "the worker process was killed by signal 9 (SIGKILL)")
    assert found[2].metrics.values["value"] == 2.0


def test_json_lines_and_a_log(master, spawn, assign, until, tmp_path):
    process = spawn("--json", "--log", str(tmp_path / "worker.log"), "--isolation", "none", "--label", "fast")
    stream = master.stream(seconds=30.0)
    stream.say(assign(12, serial=1))
    until(lambda: stream.of("result"), "a result")
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=20)
    lines = [json.loads(line) for line in output.splitlines()]
    assert [line["event"] for line in lines] == ["joined", "begins", "ends", "draining", "left"]
    assert {line["worker"] for line in lines} == {"w"}
    assert [(line["trial"], line["attempt"]) for line in lines[1:3]] == [(12, 1), (12, 1)]
    assert (tmp_path / "worker.log").read_text() == output


def refused(*options):
    done = subprocess.run([MORPHML, "worker", *options], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ([], "Error: Missing option '--master'."),
        (["--master", "host"], "Error: Invalid value for '--master': 'host' is not an address; write HOST:PORT, such as gpu-host:7077"),
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
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ})
    assert done.stdout == "[]\n"
