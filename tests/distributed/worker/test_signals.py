"""`morphml worker` as a process: signals, and what is left of it."""

import json
import signal

import psutil


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
