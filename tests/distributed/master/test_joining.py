import time

import grpc
import pytest

from morphml_core.problem import Cause, Outcome, Report
from morphml_core.testing.executor import collect, outcomes, task
from morphml_distributed.dispatch.messages import Held, Lease
from morphml_distributed.dispatch.rules import Rules
from morphml_distributed.security.tokens import WORKER, proof
from morphml_distributed.wire import codec
from morphml_distributed.wire import morphml_pb2 as pb
from morphml_distributed.wire.joining import Greeting, hello_message

TOKEN = b"a token of the cluster, long enough"


@pytest.fixture
def token_file(tmp_path):
    path = tmp_path / "token"
    path.write_bytes(TOKEN)
    return path


def works(executor, peer, name="another"):
    """Whether the master still lets a worker in, and hears its result."""
    worker = peer(executor, name).join()
    executor.submit(task(900))
    worker.work()
    return outcomes(collect(executor, 1, 10.0))[900].metrics == {"value": 1.0}


def test_a_worker_joins_and_finishes_a_task(master, peer):
    executor = master()
    worker = peer(executor).join()
    executor.submit(task(7, attempt=2))
    assert worker.work() == task(7, attempt=2)
    found = outcomes(collect(executor, 1, 10.0))[7]
    assert found == Outcome(7, 2, {"value": 1.0}, duration=0.5, worker="one")
    acknowledged = worker.hear("acknowledge")
    assert (acknowledged.number, acknowledged.used) == (7, True)


def test_the_welcome_has_the_workload_and_no_path_of_the_master(master, peer):
    welcome = peer(master()).hello().welcome
    assert welcome.workload == (
        '{"experiment": "digits", "space": {"name": "behaviour"}, "evaluator": {"name": "behaviour"}, "artifacts": {"name": "local"}}'
    )
    assert (welcome.heartbeat, welcome.shared_artifacts, welcome.keep_held) == (1.0, False, False)
    assert len(welcome.session_key) == 32
    assert abs(welcome.term - time.time_ns()) < 10**10


@pytest.mark.parametrize(
    ("installed", "reason"),
    [
        (
            {"morphml-distributed": "0.1.0"},
            "the worker 'one' lacks morphml-core 0.1.0; on its machine, pip install 'morphml-core==0.1.0'",
        ),
        (
            {"morphml-core": "0.0.9"},
            "the worker 'one' has morphml-core 0.0.9 in place of 0.1.0; on its machine, pip install 'morphml-core==0.1.0'",
        ),
    ],
)
def test_a_worker_with_another_installation_is_told_what_to_install(master, peer, installed, reason):
    executor = master()
    refused = peer(executor, distributions=installed).hello()
    assert refused.refusal == pb.Refusal(reason=reason, final=True)
    assert refused.rest() == []
    assert works(executor, peer)


def test_several_distributions_can_be_wrong(master, peer):
    wanted = {"a": "1", "b": "2", "c": "3", "d": "4"}
    executor = master({"experiment": "digits", "distributions": wanted})
    refused = peer(executor, distributions={"c": "2", "d": "4"}).hello()
    assert refused.refusal.reason == (
        "the worker 'one' lacks a 1 and b 2 and has c 2 in place of 3; on its machine, pip install 'a==1' 'b==2' 'c==3'"
    )


def test_another_protocol_is_refused(master, peer):
    refused = peer(master()).hello(protocol=7)
    assert refused.refusal.final
    assert refused.refusal.reason == (
        "'one' speaks protocol 7 (morphml-distributed 0.1.0), and this side protocol 1 (morphml-distributed 0.1.0); "
        "install the same version of morphml-distributed on both"
    )


@pytest.mark.parametrize(
    ("token", "what"),
    [(b"", "gave no proof of the token"), (b"another token, long enough", "does not know the token of this cluster")],
)
def test_a_worker_without_the_token_is_refused(master, peer, token_file, token, what):
    executor = master(token_file=token_file)
    refused = peer(executor, token=token).hello()
    assert refused.refusal.final
    assert refused.refusal.reason == (
        f"the worker 'one' {what}; give it the token file that the master has, with --token-file"
    )
    assert peer(executor, token=TOKEN).hello().welcome is not None


def test_a_replayed_hello_is_refused(master, peer, token_file):
    executor = master(token_file=token_file)
    overheard = peer(executor, token=TOKEN)
    hello = hello_message(Greeting("one", proof(TOKEN, overheard.challenge().nonce, WORKER, "one"), **overheard.said))
    thief = peer(executor)
    thief.challenge()
    thief.frames.put(pb.FromWorker(hello=hello))
    assert "does not know the token" in next(thief.call).refusal.reason


def test_a_viewers_proof_lets_no_worker_in(master, peer, token_file):
    thief = peer(master(token_file=token_file))
    hello = hello_message(Greeting("one", proof(TOKEN, thief.challenge().nonce, "viewer", "one"), **thief.said))
    thief.frames.put(pb.FromWorker(hello=hello))
    assert "does not know the token" in next(thief.call).refusal.reason


def test_a_first_message_without_hello_is_refused(master, peer):
    executor = master()
    wrong = peer(executor)
    wrong.challenge()
    wrong.beat()
    assert next(wrong.call).refusal == pb.Refusal(
        reason="the first message of a stream is a hello, and this one is none", final=False
    )
    assert works(executor, peer)


def test_a_name_is_taken_while_its_worker_lives(master, peer, until):
    executor = master()
    first = peer(executor).join()
    refused = peer(executor).hello()
    reason = "the name 'one' is taken by a worker that lives; give this one another, with --name"
    assert refused.refusal == pb.Refusal(reason=reason, final=False)
    first.close()
    assert until(lambda: peer(executor).hello().welcome)


def test_the_name_of_a_silent_worker_is_free(master, peer):
    executor = master(rules=Rules(heartbeat=0.2))
    first = peer(executor).join()
    time.sleep(0.4)
    second = peer(executor).join()
    assert second.welcome is not None
    assert [frame.evict.reason for frame in first.rest() if frame.HasField("evict")] == ["the worker has joined again"]


def test_a_worker_that_holds_its_leases_is_the_same_one(master, peer):
    executor = master()
    first = peer(executor).join()
    executor.submit(task(3))
    assign = first.hear("assign")
    lease, _, _ = codec.task_of(assign)
    again = peer(executor, held=(Held(3, 1, lease, True),), experiment=first.welcome.experiment).join()
    assert again.welcome.keep_held
    again.say(codec.result_frame(lease, Outcome(3, 1, {"value": 2.0})))
    assert outcomes(collect(executor, 1, 10.0))[3].metrics == {"value": 2.0}


def test_tasks_of_another_experiment_are_not_kept(master, peer):
    executor = master()
    worker = peer(executor, held=(Held(3, 1, Lease(5, 1), True),), experiment="another").join()
    assert not worker.welcome.keep_held


def test_a_term_is_higher_than_any_that_a_worker_shows(master, peer):
    executor = master()
    ahead = time.time_ns() + 10**15
    digest = peer(executor, "other").hello().welcome.experiment
    worker = peer(executor, cpus=2.0, held=(Held(3, 1, Lease(ahead, 1), True),), experiment=digest).join()
    assert worker.welcome.term == ahead + 1
    executor.submit(task(900))
    assert codec.task_of(worker.hear("assign"))[0].term == ahead + 1


def test_an_unable_worker_gets_no_task_and_is_shown(master, peer, until):
    executor = master()
    unable = peer(executor).hello().say(codec.unable_frame("the data are not here"))
    until(lambda: executor.snapshot()["workers"] and executor.snapshot()["workers"][0]["state"] == "unable")
    assert executor.snapshot()["workers"] == [{"name": "one", "state": "unable", "reason": "the data are not here"}]
    assert works(executor, peer)
    assert unable.heard == []


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (pb.WorkerFrame(ready=pb.Ready()), None),
        (pb.WorkerFrame(), None),
        (pb.WorkerFrame(began=pb.Began(number=3)), "a message Began has no lease; each names the lease of its task"),
    ],
)
def test_a_bad_frame_ends_its_stream_with_a_sentence(master, peer, frame, reason):
    executor = master()
    worker = peer(executor).join()
    worker.say(frame)
    (found,) = worker.rest()
    assert found.WhichOneof("kind") == "evict"
    assert reason is None or found.evict.reason == reason
    assert works(executor, peer)


def test_what_is_no_protobuf_ends_its_stream(master, peer):
    executor = master()
    call = peer(executor).channel.stream_stream("/morphml.v1.Master/Join", lambda data: data, pb.ToWorker.FromString)
    found = list(call(iter([b"\xff\xff\xff\xff"])))
    assert [message.WhichOneof("kind") if hasattr(message, "kind") else message.HasField("refusal") for message in found] == [
        False, True,
    ]  # fmt: skip
    assert works(executor, peer)


def test_a_second_hello_ends_its_stream(master, peer):
    worker = peer(master()).join()
    worker.frames.put(pb.FromWorker(hello=pb.Hello(worker="one")))
    assert [frame.evict.reason for frame in worker.rest()] == ["a hello comes once, as the first message of a stream"]


def test_frames_before_ready_end_the_stream(master, peer):
    worker = peer(master()).hello().beat()
    assert [frame.evict.reason for frame in worker.rest()] == [
        "a worker that is not ready has sent a frame heartbeat; the first is ready, or unable"
    ]


def test_closing_gives_an_outcome_for_everything_and_ends_streams_cleanly(master, peer):
    executor = master()
    worker = peer(executor).join()
    for number in range(30):
        executor.submit(task(number))
    worker.hear("assign")
    since = time.monotonic()
    executor.close()
    assert time.monotonic() - since < 6.0
    assert set(outcomes(executor.poll(0.0))) == set(range(30))
    worker.rest()
    assert worker.call.code() is grpc.StatusCode.OK


def test_the_search_hears_that_a_worker_is_lost_and_another_gets_the_next_attempt(master, peer):
    executor = master(rules=Rules(heartbeat=0.2))
    first = peer(executor, "first").join()
    executor.submit(task(1))
    lease, _, _ = codec.task_of(first.hear("assign"))
    first.say(codec.began_frame(lease, 1), codec.report_frame(lease, Report(1, 1, 1, {"value": 0.5})))
    assert executor.poll(5.0) == [Report(1, 1, 1, {"value": 0.5})]
    first.close()
    since = time.monotonic()
    lost = outcomes(collect(executor, 1, 10.0))[1]
    assert (lost.cause, lost.final) == (Cause.LOST, False)
    assert time.monotonic() - since < 1.0
    second = peer(executor, "second").join()
    executor.submit(task(1, attempt=2))
    assert second.work() == task(1, attempt=2)
    assert outcomes(collect(executor, 1, 10.0))[1].worker == "second"
