"""A worker in this process, and a master that does what the test says."""

import json
import re
import time

import attrs
import pytest
from click.testing import CliRunner

from morphml_core.cli import main
from morphml_core.problem import Resources
from morphml_distributed.dispatch.messages import Acknowledge, Cancel, Capacity, Evict, Gpu, Lease, Revoke
from morphml_distributed.security.settings import Security
from morphml_distributed.security.tokens import proof
from morphml_distributed.wire import morphml_pb2 as pb

KEEPING = """\
from pathlib import Path

from morphml_core.protocols import Measurement
from morphml_core.testing.executor import BehaviourEvaluator, BehaviourSpace


class Keeping(BehaviourEvaluator):
    def evaluate(self, task, candidate, workbench):
        here = Path(__file__).with_name("checkpoint")
        begun = workbench.artifacts.get("1/checkpoint", here)
        here.write_text(f"attempt {task.attempt}")
        workbench.artifacts.put("1/checkpoint", here)
        yield Measurement(1, {"begun": float(begun)})
        return {"begun": float(begun), "names": float(len(workbench.artifacts.names()))}


space, evaluator = BehaviourSpace(), Keeping()
"""


def results(stream):
    return {result.number: result for result in stream.of("result")}


def heartbeat_without(stream, number):
    """A heartbeat that comes from now on and does not hold the trial."""
    seen = len(stream.of("heartbeat"))
    return lambda: [beat for beat in stream.of("heartbeat")[seen:] if number not in [held.number for held in beat.held]]


# joining ----------------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path):
    """Certificates and a token, as `morphml cluster init` makes them."""
    done = CliRunner().invoke(main, ["cluster", "init", str(tmp_path / "files"), "--host", "127.0.0.1"])
    assert done.exit_code == 0, done.output
    return lambda name: tmp_path / "files" / name


def secured(files, who):
    return Security(files("ca.pem"), files(f"{who}.pem"), files(f"{who}.key"), files("token"))


def test_certificates_and_a_token(master, join, assign, until, files, folder):
    master.shut()
    master.security = secured(files, "master")
    master.open()
    (folder / "parts.py").write_text(KEEPING)
    join(security=secured(files, "worker"), isolation="processes")
    stream = master.stream()
    assert stream.hello.proof == proof(files("token").read_bytes().strip(), b"n" * 32, "worker", "w")
    stream.say(assign(1, serial=1))
    until(lambda: stream.of("result"), "a result", 30)
    assert dict(stream.of("result")[0].metrics.values) == {"begun": 0.0, "names": 1.0}


def test_without_certificates_it_says_why_it_waits(master, join, until, files):
    master.shut()
    master.security = secured(files, "master")
    master.open()
    worker = join()
    until(lambda: "waiting" in worker.lines.text)
    assert worker.lines.text == (
        f"there is no connection to the master at {master.address}: it has closed the connection; "
        "where it wants TLS, give --authority, --certificate and --key (and --token-file); waiting\n"
    )


# running ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("isolation", ["none", "processes"])
def test_a_task_begins_reports_and_ends(master, join, assign, until, isolation):
    worker = join(isolation=isolation)
    stream = master.stream()
    stream.say(assign(7, serial=1, steps=2, pause=0.01, attempt=3), assign(8, "raise", serial=2))
    until(lambda: len(results(stream)) == 2, "two results", 30)
    assert (7, 1) in [(each.number, each.lease.serial) for each in stream.of("began")]
    assert [(each.number, each.attempt, each.step, dict(each.metrics)) for each in stream.of("report")] == [
        (7, 3, 1, {"value": 1.0}), (7, 3, 2, {"value": 2.0}),
    ]  # fmt: skip
    found = results(stream)
    assert found[7].metrics.values["value"] == 7.0
    assert (found[8].cause, found[8].message.split("\n")[0]) == ("error", "ValueError: this candidate raises")
    assert "joined as w (2 cpus, 8.0 GiB)\ntrial 7 begins\n" in worker.lines.text
    assert "trial 8 fails (error): ValueError: this candidate raises\n" in worker.lines.text


def test_the_hello_says_what_there_is(master, join):
    gpus = (Gpu("0", 2**30), Gpu("1", 2**31))
    join(capacity=Capacity(2.5, 2**33, gpus, frozenset({"fast"})))
    hello = master.stream().hello
    assert (hello.protocol, hello.worker, hello.proof, hello.experiment, list(hello.held)) == (1, "w", b"", "", [])
    assert {"morphml-core", "morphml-distributed"} <= set(hello.distributions)
    assert (hello.capacity.cpus, hello.capacity.memory, list(hello.capacity.labels)) == (2.5, 2**33, ["fast"])
    assert [(gpu.id, gpu.memory) for gpu in hello.capacity.gpus] == [("0", 2**30), ("1", 2**31)]


def test_heartbeats_say_what_it_holds(master, join, assign, until):
    join(capacity=Capacity(1.0, 2**33))
    stream = master.stream()
    stream.say(assign(1, serial=4, steps=10_000, pause=0.01), assign(2, serial=5))
    beat = until(lambda: [beat for beat in stream.of("heartbeat") if any(held.step for held in beat.held)])[-1]
    assert [(held.number, held.lease.serial, held.running, held.step > 0) for held in beat.held] == [
        (1, 4, True, True), (2, 5, False, False),
    ]  # fmt: skip
    assert beat.received == 5
    assert 0 < beat.health.memory < 1
    assert beat.health.disk_free > 0


@pytest.mark.parametrize("isolation", ["none", "processes"])
def test_a_waiting_task_begins_when_a_running_one_ends(master, join, assign, until, isolation):
    join(capacity=Capacity(2.0, 2**33), isolation=isolation)
    stream = master.stream()
    two = Resources(cpus=2.0)
    stream.say(assign(1, serial=1, steps=3, pause=0.05), assign(2, serial=2, resources=two), assign(3, serial=3))
    until(lambda: len(results(stream)) == 3, "three results", 30)
    # Trial 3 fits beside trial 1, trial 2 has to wait for both.
    assert next(iter(results(stream))) in (1, 3)
    assert list(results(stream)).index(2) >= 1


def test_tasks_see_the_gpus_that_they_are_given(master, join, assign, until, folder):
    (folder / "parts.py").write_text(
        "import os\n"
        "from morphml_core.testing.executor import BehaviourEvaluator, BehaviourSpace\n"
        "class Seeing(BehaviourEvaluator):\n"
        "    def evaluate(self, task, candidate, workbench):\n"
        "        shown = os.environ['CUDA_VISIBLE_DEVICES'] or '-1'\n"
        "        return {'gpus': float(shown.replace(',', '.')), 'threads': float(os.environ['OMP_NUM_THREADS'])}\n"
        "        yield\n"
        "space, evaluator = BehaviourSpace(), Seeing()\n"
    )
    join(capacity=Capacity(8.0, 2**33, (Gpu("4", 0), Gpu("7", 0))), isolation="processes")
    stream = master.stream()
    stream.say(
        assign(1, serial=1, gpus=("4", "7"), resources=Resources(cpus=3.0, gpus=2.0)),
        assign(2, serial=2, gpus=("7",), resources=Resources(gpus=0.5)),
        assign(3, serial=3),
    )
    until(lambda: len(results(stream)) == 3, "three results", 30)
    found = {number: dict(result.metrics.values) for number, result in results(stream).items()}
    assert {number: metrics["gpus"] for number, metrics in found.items()} == {1: 4.7, 2: 7.0, 3: -1.0}


def test_many_tasks_at_once(master, join, assign, until):
    worker = join(capacity=Capacity(1.0, 2**33))
    stream = master.stream()
    stream.say(*(assign(number, serial=number + 1) for number in range(2000)))
    until(lambda: len(stream.of("result")) == 2000, "all results", 30)
    assert [result.number for result in stream.of("result")] == list(range(2000))
    until(lambda: "more lines on trials" in worker.lines.text)
    assert worker.lines.text.count("ends in") < 200


# ending tasks -----------------------------------------------------------------------------------------


def test_a_running_and_a_waiting_task_are_cancelled(master, join, assign, until):
    join(capacity=Capacity(1.0, 2**33))
    stream = master.stream()
    stream.say(assign(1, serial=1, steps=10_000, pause=0.01), assign(2, serial=2))
    until(lambda: stream.of("report"))
    stream.say(Cancel("w", Lease(1, 2), 2), Cancel("w", Lease(1, 1), 1), Cancel("w", Lease(1, 9), 9))
    until(lambda: len(results(stream)) == 2, "two results")
    assert all(result.WhichOneof("end") == "cancelled" for result in results(stream).values())
    until(heartbeat_without(stream, 1))


def test_a_task_that_has_not_begun_is_given_back(master, join, assign, until):
    join(capacity=Capacity(1.0, 2**33))
    stream = master.stream()
    stream.say(assign(1, serial=1, steps=10_000, pause=0.01), assign(2, serial=2))
    until(lambda: stream.of("report"))
    stream.say(Revoke("w", Lease(1, 1), 1), Revoke("w", Lease(1, 2), 2))
    until(lambda: stream.of("returned"))
    assert [(each.number, each.lease.serial) for each in stream.of("returned")] == [(2, 2)]
    until(heartbeat_without(stream, 2))


def test_a_trial_that_is_wanted_again_while_it_ends(master, join, assign, until):
    join()
    stream = master.stream()
    stream.say(assign(1, serial=1, steps=10_000, pause=0.01))
    until(lambda: stream.of("report"))
    stream.say(Cancel("w", Lease(1, 1), 1), assign(1, serial=2, attempt=2))
    until(lambda: len(stream.of("result")) == 2, "two results")
    assert [(each.lease.serial, each.attempt, each.WhichOneof("end")) for each in stream.of("result")] == [
        (1, 1, "cancelled"), (2, 2, "metrics"),
    ]  # fmt: skip


# losing the master ------------------------------------------------------------------------------------


def test_results_are_kept_until_they_are_acknowledged(master, join, assign, until):
    worker = join()
    stream = master.stream()
    stream.acknowledges = False
    stream.say(assign(1, serial=1), assign(2, "raise", serial=2))
    until(lambda: len(results(stream)) == 2)
    master.shut()
    master.script.term = 2
    master.open()
    again = master.stream(2)
    until(lambda: len(results(again)) == 2)
    assert (again.hello.experiment, [(held.number, held.running) for held in again.hello.held]) == (
        "digest",
        [(1, True), (2, True)],
    )
    assert [(result.number, result.lease.term) for result in again.of("result")] == [(1, 1), (2, 1)]
    # They are acknowledged now, and not sent a third time.
    again.close()
    third = master.stream(3)
    assert list(third.hello.held) == []
    assert re.search(r"\nthe master (is gone|has ended); waiting\n", worker.lines.text)
    assert worker.lines.text.count("joined as w") == 3


def test_a_task_goes_on_under_the_lease_of_a_new_master(master, join, assign, until):
    join()
    stream = master.stream()
    first = assign(1, serial=1, steps=60, pause=0.02)
    stream.say(first, assign(2, serial=2))
    until(lambda: stream.of("report") and 2 in results(stream))
    master.shut()
    master.script.term = 5
    master.open()
    again = master.stream(2)
    assert next((held.number, held.lease.term, held.running) for held in again.hello.held) == (1, 1, True)
    renewed = attrs.evolve(first, lease=Lease(5, 1), task=attrs.evolve(first.task, attempt=2))
    again.say(renewed)
    until(lambda: 1 in results(again))
    result = results(again)[1]
    assert (result.lease.term, result.lease.serial, result.attempt, result.metrics.values["value"]) == (5, 1, 2, 1.0)
    assert {report.attempt for report in again.of("report") if report.lease.term == 5} == {2}
    assert again.of("heartbeat")[-1].received <= 1


def test_a_result_that_is_there_is_sent_under_a_new_lease(master, join, assign, until):
    join()
    stream = master.stream()
    stream.acknowledges = False
    first = assign(1, serial=1)
    stream.say(first)
    until(lambda: stream.of("result"))
    stream.say(attrs.evolve(first, lease=Lease(1, 8), task=attrs.evolve(first.task, attempt=2)))
    until(lambda: len(stream.of("result")) == 2)
    assert [(each.lease.serial, each.attempt) for each in stream.of("result")] == [(1, 1), (8, 2)]
    # An old result that was not used does not settle the new lease.
    stream.say(Acknowledge("w", Lease(1, 1), 1, False))
    stream.close()
    again = master.stream(2)
    assert [(held.number, held.lease.serial) for held in again.hello.held] == [(1, 8)]


def test_a_failure_is_not_the_result_of_the_next_attempt(master, join, assign, until):
    """The acknowledgement was lost with the connection; the master has counted the failure, and sends the trial again."""
    join()
    stream = master.stream()
    stream.acknowledges = False
    stream.say(assign(1, "raise", serial=1))
    until(lambda: stream.of("result"))
    stream.close()
    again = master.stream(2)
    again.say(assign(1, serial=2, attempt=2))
    until(lambda: len(again.of("result")) == 2)
    assert [(each.lease.serial, each.attempt, each.WhichOneof("end")) for each in again.of("result")] == [
        (1, 1, "cause"), (2, 2, "metrics"),
    ]  # fmt: skip


def test_another_experiment_makes_it_drop_everything(master, join, assign, until, folder):
    worker = join(isolation="processes", capacity=Capacity(1.0, 2**33))
    stream = master.stream()
    stream.say(assign(1, serial=1, steps=10_000, pause=0.01), assign(2, serial=2))
    until(lambda: stream.of("report"), "a report", 30)
    master.script.welcome |= {"experiment": "other", "keep_held": False}
    stream.close()
    again = master.stream(2)
    again.say(assign(2, serial=3))
    until(lambda: again.of("result"), "a result", 30)
    assert [(each.number, each.lease.serial) for each in again.of("result")] == [(2, 3)]
    again.close()
    assert master.stream(3).hello.experiment == "other"
    assert "trial 1 ends" not in worker.lines.text
    assert "what it held belongs to another search, and is dropped\n" in worker.lines.text


def test_no_report_is_lost_with_a_connection(master, join, assign, until):
    """What was said while nobody listened, or just before, is said again, before the result."""
    join()
    stream = master.stream()
    stream.say(assign(1, serial=1, steps=40, pause=0.01))
    until(lambda: stream.of("report"))
    stream.close()
    again = master.stream(2)
    until(lambda: again.of("result"))
    assert {report.step for report in again.of("report")} == set(range(1, 41))
    kinds = [frame.WhichOneof("kind") for frame in again.frames]
    assert kinds.index("ready") < kinds.index("began") < kinds.index("report") < kinds.index("result")


def test_checkpoints_lie_with_the_master(master, join, assign, until, folder):
    """From a child process, with the key of the session of now: also of the one after a restart of the master."""
    (folder / "parts.py").write_text(KEEPING)
    join(isolation="processes")
    stream = master.stream()
    stream.say(assign(1, serial=1))
    until(lambda: stream.of("result"), "a result", 30)
    master.shut()
    master.script.term = 2
    master.open()
    again = master.stream(2)
    again.say(assign(1, serial=1, term=2, attempt=2))
    until(lambda: again.of("result"), "a result", 30)
    found = [dict(each.metrics.values) for each in (stream.of("result")[0], again.of("result")[0])]
    assert found == [{"begun": 0.0, "names": 1.0}, {"begun": 1.0, "names": 1.0}]
    assert master.script.store.get("1/checkpoint", folder / "fetched")
    assert (folder / "fetched").read_text() == "attempt 2"


def test_an_eviction_makes_it_join_again(master, join, until):
    worker = join()
    master.stream().say(Evict("w", 0, "it was silent for 9 s"))
    master.stream(2)
    assert "the master has closed the connection: it was silent for 9 s; waiting\n" in worker.lines.text


def test_it_waits_for_a_master_that_is_not_there_yet(master, join, until):
    master.shut()
    worker = join()
    until(lambda: "nobody listens there; waiting\n" in worker.lines.text)
    time.sleep(0.3)
    master.open()
    master.stream()
    assert worker.lines.text.count("waiting") == 1


# a master that does not want it -----------------------------------------------------------------------


def test_a_workload_that_cannot_be_built(master, join, until):
    master.script.welcome["workload"] = json.dumps(
        {
            "experiment": "search", "space": {"python": "parts.py:space"}, "evaluator": {"python": "nowhere.py:evaluator"},
            "artifacts": {"name": "local"},
        }
    )  # fmt: skip
    worker = join()
    stream = master.stream()
    [unable] = stream.of("unable")
    assert "nowhere.py" in unable.reason
    assert f"unable to work for this master: {unable.reason}\n" in worker.lines.text
    assert not stream.of("ready")
    # It waits for the next welcome.
    master.script.welcome["workload"] = json.dumps({**json.loads(master.script.welcome["workload"]), "evaluator": {"python": "parts.py:evaluator"}})  # fmt: skip
    stream.close()
    assert master.stream(2).of("ready")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[]", "the workload is [], but is an object"),
        ('{"experiment": "x"}', "the master has sent no specification of the evaluation that this version can read"),
    ],
)
def test_a_specification_that_says_nothing(master, join, text, reason):
    master.script.welcome["workload"] = text
    join()
    [unable] = master.stream().of("unable")
    assert unable.reason == reason


def test_a_final_refusal_ends_it(master, join):
    master.script.answer = pb.Refusal(reason="there is no token", final=True)
    worker = join()
    worker.thread.join(10)
    assert worker.code == 2
    assert worker.lines.text == "refused: there is no token\n"


def test_another_refusal_is_told_once(master, join, until):
    master.script.answer = pb.Refusal(reason="the name 'w' is taken by a living worker")
    worker = join()
    until(lambda: len(master.script.streams) >= 3)
    assert worker.lines.text == "refused: the name 'w' is taken by a living worker; waiting\n"
    master.script.answer = None
    count = len(master.script.streams)
    until(lambda: len(master.script.streams) > count)
    until(lambda: "joined as w" in worker.lines.text)


def test_a_master_of_another_protocol(master, join):
    master.script.protocol = 7
    worker = join()
    worker.thread.join(10)
    assert worker.code == 2
    assert worker.lines.text == (
        "refused: the master speaks protocol 7 (morphml-distributed 9.9), and this side protocol 1 (morphml-distributed 0.1.0); install the "
        "same version of morphml-distributed on both\n"
    )


# leaving ----------------------------------------------------------------------------------------------


def test_leaving_gives_back_finishes_and_says_goodbye(master, join, assign, until):
    worker = join(capacity=Capacity(1.0, 2**33), deadline=10.0)
    stream = master.stream()
    stream.say(assign(1, serial=1, steps=20, pause=0.02), assign(2, serial=2))
    until(lambda: stream.of("report"))
    assert worker.end() == 0
    kinds = [
        frame.WhichOneof("kind") for frame in stream.frames if frame.WhichOneof("kind") not in ("report", "heartbeat")
    ]
    assert kinds[-4:] == ["draining", "returned", "result", "goodbye"]
    assert results(stream)[1].metrics.values["value"] == 1.0
    assert stream.of("draining")[0].reason == "the test is over"


@pytest.mark.parametrize("isolation", ["none", "processes"])
def test_at_the_deadline_trials_end_without_a_result(master, join, assign, until, isolation):
    worker = join(isolation=isolation, deadline=0.3)
    stream = master.stream()
    stream.say(assign(1, serial=1, steps=10_000, pause=0.01))
    until(lambda: stream.of("report"), "a report", 30)
    assert worker.end() == 0
    assert not stream.of("result")
    assert stream.frames[-1].WhichOneof("kind") == "goodbye"
    assert "its trials have not ended within 0.3 s: they end now\n" in worker.lines.text


def test_leaving_waits_for_a_master_that_is_to_get_a_result(master, join, assign, until):
    worker = join(deadline=10.0)
    stream = master.stream()
    stream.acknowledges = False
    stream.say(assign(1, serial=1))
    until(lambda: stream.of("result"))
    master.shut()
    worker.worker.stop("enough")
    time.sleep(0.2)
    assert worker.thread.is_alive()
    master.open()
    again = master.stream(2)
    worker.thread.join(10)
    assert worker.code == 0
    assert [frame.WhichOneof("kind") for frame in again.frames if frame.WhichOneof("kind") != "heartbeat"] == [
        "ready", "result", "draining", "goodbye",
    ]  # fmt: skip


def test_leaving_with_the_master(master, join):
    worker = join(stay=False)
    master.stream().close()
    worker.thread.join(10)
    assert worker.code == 0
    assert worker.lines.text.endswith("the master has ended\n")


def test_patience_ends(master, join):
    master.shut()
    worker = join(patience=0.3)
    worker.thread.join(10)
    assert worker.code == 1
    assert worker.lines.text.endswith(f"there was no master at {master.address} for 0.3 s\n")
    master.open()
