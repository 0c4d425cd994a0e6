"""Metrics, health, logs, spans, and what a person is told."""

import json
import logging
import re
import socket
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client.parser import text_string_to_metric_families

from morphml_core.errors import MorphMLError
from morphml_core.problem import Cause, Outcome, Report
from morphml_core.testing.executor import collect, outcomes, task
from morphml_distributed.dispatch.messages import Health, Note
from morphml_distributed.dispatch.rules import Rules
from morphml_distributed.master.logs import LogFile
from morphml_distributed.master.tracing import Spans
from morphml_distributed.security.files import write_cluster
from morphml_distributed.wire import codec

DOCS = Path(__file__).parents[3] / "docs" / "distributed.md"


def page(executor, path):
    try:
        with urllib.request.urlopen(f"http://{executor.metrics_address}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def samples(executor):
    """All samples of /metrics by name and labels."""
    status, text = page(executor, "/metrics")
    assert status == 200
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_tell_what_happened(master, peer, until):
    executor = master(metrics="127.0.0.1:0", rules=Rules(heartbeat=5.0))
    worker = peer(executor).join()
    worker.say(codec.heartbeat_frame(Health(0.25, 0.5, 10**12), 0, ()))
    for number in range(2):
        executor.submit(task(number))
    worker.work()
    lease, second, _ = codec.task_of(worker.hear("assign"))
    worker.say(codec.report_frame(lease, Report(second.number, 1, 1, {"value": 1.0})))
    worker.say(codec.result_frame(lease, Outcome(second.number, 1, None, Cause.INVALID, "no", 70.0)))
    collect(executor, 2, 10.0)
    found = until(lambda: samples(executor))
    assert found["morphml_tasks_submitted_total",] == 2
    assert found["morphml_reports_total",] == 1
    assert found["morphml_tasks_ended_total", "finished"] == 1
    assert found["morphml_tasks_ended_total", "invalid"] == 1
    assert found["morphml_events_total", "assigned"] == 2
    assert found["morphml_dispatch_decisions_total",] == 2
    assert found["morphml_workers", "ready"] == 1
    assert found["morphml_queue_length",] == found["morphml_leases",] == 0
    assert found["morphml_task_duration_seconds_bucket", "0.1"] == 0
    assert found["morphml_task_duration_seconds_bucket", "0.5"] == 1
    assert found["morphml_task_duration_seconds_bucket", "+Inf"] == found["morphml_task_duration_seconds_count",] == 2
    assert found["morphml_task_duration_seconds_sum",] == 70.5
    assert found["morphml_worker_cpu", "one"] == 0.25
    assert found["morphml_worker_disk_free", "one"] == 10**12
    assert found["morphml_received_bytes_total",] > 100
    assert found["morphml_sent_bytes_total",] > 100
    assert found["morphml_refused_total",] == 0
    worker.say(codec.goodbye_frame("enough"))
    until(lambda: ("morphml_workers", "left") in samples(executor))
    assert ("morphml_worker_cpu", "one") not in samples(executor)


def test_each_metric_is_documented(master, peer, until):
    executor = master(metrics="127.0.0.1:0", rules=Rules(heartbeat=5.0))
    worker = peer(executor).join()
    worker.say(codec.heartbeat_frame(Health(0.25, 0.5, 10**12, 0.1, 0.2, 50.0), 0, ()))
    until(lambda: any(name == "morphml_worker_temperature" for name, *_ in samples(executor)))
    _, text = page(executor, "/metrics")
    served = {family.name for family in text_string_to_metric_families(text)}
    rows = [
        line.split("|")[1] for line in DOCS.read_text(encoding="utf-8").splitlines() if line.startswith("| `morphml_")
    ]
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == served


def test_health_and_readiness(master):
    executor = master(metrics="127.0.0.1:0")
    assert page(executor, "/healthz") == (200, "ok\n")
    assert page(executor, "/readyz") == (200, "ok\n")
    assert page(executor, "/else") == (404, "there is /metrics, /healthz and /readyz\n")


def test_a_stuck_loop_is_seen(master, monkeypatch):
    monkeypatch.setattr("morphml_distributed.master.server.STUCK", 0.7)
    executor = master(metrics="127.0.0.1:0")
    executor._master._loop.call_soon_threadsafe(time.sleep, 1.5)
    time.sleep(1.0)
    status, text = page(executor, "/healthz")
    assert (status, text) == (503, "the master's loop has not moved for 1 s\n")
    assert page(executor, "/readyz")[0] == 503
    time.sleep(1.2)
    assert page(executor, "/healthz") == (200, "ok\n")


def test_a_metrics_port_that_is_taken_is_a_sentence(master):
    taken = master(metrics="127.0.0.1:0").metrics_address
    with pytest.raises(MorphMLError) as caught:
        master(metrics=taken)
    assert str(caught.value) == f"metrics cannot be served at {taken}: Address already in use"


def test_each_line_of_the_log_has_trial_attempt_and_worker(master, peer, tmp_path):
    executor = master(log=tmp_path / "cluster.jsonl")
    worker = peer(executor).join()
    executor.submit(task(7, attempt=2))
    worker.work()
    collect(executor, 1, 10.0)
    executor.close()
    lines = [json.loads(line) for line in (tmp_path / "cluster.jsonl").read_text().splitlines()]
    assert all(list(line) == ["time", "kind", "trial", "attempt", "worker", "message", "term"] for line in lines)
    assert [(line["trial"], line["attempt"], line["worker"]) for line in lines if line["kind"] == "submitted"] == [
        (7, 2, None)
    ]
    assert [(line["trial"], line["attempt"], line["worker"]) for line in lines if line["kind"] == "assigned"] == [
        (7, 2, "one")
    ]


def test_a_full_disk_stops_the_log_and_not_the_master(caplog):
    log = LogFile(Path("/dev/full"), term=1)
    for _ in range(2):
        log.noted(Note("joined", "the worker 'one' has joined", "one"))
        log.flush()
    log.close()
    assert [record.message for record in caplog.records] == [
        "the log of the cluster cannot be written: [Errno 28] No space left on device"
    ]


def test_each_task_is_a_span_with_what_happened_to_it():
    exporter = InMemorySpanExporter()
    spans = Spans("digits", SimpleSpanProcessor(exporter))
    spans.submitted(task(3, attempt=2))
    spans.submitted(task(4))
    spans.noted(Note("assigned", "trial 3 goes to one", "one", 3, 2))
    spans.delivered(Report(3, 2, 1, {"accuracy": 0.5}))
    spans.noted(Note("lost", "the worker 'one' is lost", "one", 3, 2))
    spans.noted(Note("joined", "the worker 'two' has joined", "two"))
    spans.delivered(Outcome(3, 2, None, Cause.LOST, "its worker died", 4.0, "one"))
    (span,) = exporter.get_finished_spans()
    assert span.name == "trial"
    assert dict(span.attributes) == {
        "morphml.trial": 3, "morphml.attempt": 2, "morphml.worker": "one", "morphml.duration": 4.0, "morphml.cause": "lost",
    }  # fmt: skip
    assert [event.name for event in span.events] == ["assigned", "report", "lost"]
    assert dict(span.events[1].attributes) == {"morphml.step": 1, "metric.accuracy": 0.5}
    assert (span.status.status_code.name, span.status.description) == ("ERROR", "its worker died")
    assert span.resource.attributes["morphml.experiment"] == "digits"
    spans.close()
    assert len(exporter.get_finished_spans()) == 2


def test_spans_arrive_at_a_collector(master, peer, monkeypatch):
    posts = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            posts.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    server = HTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    try:
        executor = master(tracing=True)
        worker = peer(executor).join()
        executor.submit(task(1))
        worker.work()
        assert outcomes(collect(executor, 1, 10.0))
        executor.close()
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert [path for path, _ in posts] == ["/v1/traces"]
    assert b"morphml.trial" in posts[0][1]


def told(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_person_hears_where_it_listens_and_that_nobody_comes(master, peer, caplog, until):
    executor = master(rules=Rules(stalled=0.3))
    executor.submit(task(1))
    until(lambda: len(told(caplog)) == 2)
    worker = peer(executor).join()
    until(lambda: len(told(caplog)) == 3)
    worker.work()
    assert told(caplog) == [
        f"waiting for workers at {executor.address}: morphml worker --master {executor.address}",
        "1 task waits, and there has been no worker for 0 s; start one with `morphml worker`",
        "one has joined",
    ]


@pytest.mark.parametrize(
    ("options", "command"),
    [
        ({"listen": "127.0.0.1"}, "--master 127.0.0.1:{port}"),
        ({"listen": "0.0.0.0", "insecure": True}, "--master {name}:{port} --insecure"),
        (
            {"listen": "0.0.0.0", "secured": True},
            "--master {name}:{port} --authority ca.pem --certificate worker.pem --key worker.key --token-file token",
        ),
    ],
)
def test_a_person_hears_how_workers_join(master, caplog, tmp_path, options, command):
    if options.pop("secured", False):
        write_cluster(tmp_path / "files", ["127.0.0.1"], 3)
        names = {"authority": "ca.pem", "certificate": "master.pem", "key": "master.key", "token_file": "token"}
        options |= {option: tmp_path / "files" / name for option, name in names.items()}
    executor = master(**{**options, "listen": f"{options['listen']}:0"})
    port, name = executor.address.rpartition(":")[2], socket.gethostname()
    assert told(caplog) == [
        f"waiting for workers at {executor.address}: morphml worker {command.format(port=port, name=name)}"
    ]


def test_a_person_hears_of_refused_and_unable_workers_once(master, peer, caplog, until):
    executor = master()
    for _ in range(2):
        peer(executor, distributions={}).hello()
        unable = peer(executor, "two").hello().say(codec.unable_frame("the data are not here"))
        until(lambda: [worker["state"] for worker in executor.snapshot()["workers"]] == ["unable"])
        unable.close()
        until(lambda: not executor.snapshot()["workers"])
    assert told(caplog)[1:] == [
        "the worker 'one' is refused: the worker 'one' lacks morphml-core 0.1.0; on its machine, pip install 'morphml-core==0.1.0'",
        "the worker 'two' is unable to work for this search: the data are not here",
    ]
