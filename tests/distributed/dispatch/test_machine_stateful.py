"""The machine among workers that vanish, stall, come back, answer twice, lose tasks; and a master that is restarted."""

from __future__ import annotations

import random

import attrs
import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from morphml_core.problem import Cause, Outcome, Report, Resources, Task
from morphml_core.space.decisions import Genotype
from morphml_distributed.dispatch import messages as m
from morphml_distributed.dispatch.machine import Machine
from morphml_distributed.dispatch.rules import Rules
from morphml_distributed.scheduler.fifo import Fifo
from morphml_distributed.scheduler.work_stealing import Config as StealingConfig
from morphml_distributed.scheduler.work_stealing import create as stealing

RULES = Rules(patience=1e9, cancel_limit=8.0, adoption=4.0, cooldown=2.0, cooldown_cap=4.0)
NEEDS = (Resources(1.0), Resources(2.0), Resources(0.5, 2**30), Resources(1.0, gpus=0.5), Resources(1.0, gpus=1.0))


@attrs.define(eq=False)
class Kept:
    lease: m.Lease
    task: Task
    began: bool = False
    cancelled: bool = False
    step: int = 0
    outcome: Outcome | None = None
    successor: m.Assign | None = None


class Peer:
    """A worker that keeps to the protocol, as far as it is let."""

    def __init__(self, name: str, cpus: float) -> None:
        self.name = name
        self.capacity = m.Capacity(cpus, 2**34, (m.Gpu("0", 2**33), m.Gpu("1", 2**33)))
        self.session = self.received = self.term = 0
        self.connected = self.stalled = self.draining = False
        self.kept: dict[int, Kept] = {}
        self.inbox: list[m.Instruction] = []
        self.outbox: list[m.Event] = []

    def hear(self, said: m.Instruction) -> None:
        if self.stalled:
            self.inbox.append(said)
        elif isinstance(said, m.Assign):
            if said.lease.term == self.term:
                self.received = max(self.received, said.lease.serial)
            self._assign(said)
        elif isinstance(said, m.Acknowledge):
            kept = self.kept.get(said.number)
            if kept and kept.outcome is not None and (said.used or said.lease == kept.lease):
                del self.kept[said.number]
        elif isinstance(said, m.Cancel):
            self._cancel(said)
        elif isinstance(said, m.Revoke):
            kept = self.kept.get(said.number)
            if kept and kept.lease == said.lease and not kept.began and kept.outcome is None:
                del self.kept[said.number]
                self.send(m.Returned(self.name, self.session, said.lease, said.number))

    def _assign(self, said: m.Assign) -> None:
        kept = self.kept.get(said.task.number)
        if self.draining and kept is None:
            self.send(m.Returned(self.name, self.session, said.lease, said.task.number))
        elif kept is None:
            self.kept[said.task.number] = Kept(said.lease, said.task)
        elif kept.outcome is None and kept.cancelled:
            kept.successor = said
        elif kept.lease != said.lease:
            kept.lease, kept.task = said.lease, said.task
            if kept.outcome is not None:
                self.hand_over(kept)
            elif kept.began:
                self.send(m.Began(self.name, self.session, kept.lease, said.task.number))

    def _cancel(self, said: m.Cancel) -> None:
        kept = self.kept.get(said.number)
        if kept is None or kept.lease != said.lease:
            return
        if kept.outcome is not None:
            del self.kept[said.number]
        elif kept.began:
            kept.cancelled = True
        else:
            self.end(kept, Outcome(said.number, kept.task.attempt, worker=self.name))

    def end(self, kept: Kept, outcome: Outcome) -> None:
        kept.outcome = outcome
        self.hand_over(kept)
        if kept.successor is not None:
            del self.kept[outcome.number]
            self._assign(kept.successor)

    def hand_over(self, kept: Kept) -> None:
        assert kept.outcome is not None
        outcome = attrs.evolve(kept.outcome, attempt=kept.task.attempt)
        self.send(m.Resulted(self.name, self.session, kept.lease, outcome))

    def send(self, event: m.Event) -> None:
        if self.connected:
            self.outbox.append(event)

    def held(self, results: bool) -> tuple[m.Held, ...]:
        return tuple(
            m.Held(number, kept.task.attempt, kept.lease, kept.began, kept.step)
            for number, kept in self.kept.items()
            if results or kept.outcome is None
        )


class World(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.term = self.sessions = self.numbers = 0
        self.peers: dict[str, Peer] = {}
        self.open: dict[int, Task] = {}
        self.delivered: set[tuple[int, int]] = set()
        self.results: list[m.Resulted] = []
        self.random = random.Random(0)

    @initialize(steals=st.booleans())
    def start(self, steals: bool) -> None:
        self.scheduler = stealing(StealingConfig()) if steals else Fifo()
        self.restart()

    def restart(self) -> None:
        self.term += 1
        self.machine = Machine(RULES, self.scheduler, self.term, seed=1)

    # between machine and peers ------------------------------------------------------------------------

    def feed(self, event: m.Event) -> None:
        if isinstance(event, m.Resulted):
            self.results.append(event)
        self.follow(self.machine.handle(event, self.now))
        self.machine.check()

    def follow(self, said: list[m.Instruction]) -> None:
        again = []
        for each in said:
            if isinstance(each, m.Deliver):
                if isinstance(each.message, Outcome):
                    again += self.over(each.message)
                else:
                    assert each.message.attempt == self.open[each.message.number].attempt
            elif not isinstance(each, m.Note):
                peer = self.peers.get(each.worker)
                if peer is None:
                    assert isinstance(each, m.Acknowledge)
                elif isinstance(each, m.Evict):
                    if each.session == peer.session:
                        peer.connected = False
                elif peer.connected:
                    peer.hear(each)
        for event in again:
            self.feed(event)
        self.drain_outboxes()

    def drain_outboxes(self) -> None:
        for peer in self.peers.values():
            while peer.outbox and not peer.stalled:
                self.feed(peer.outbox.pop(0))

    def over(self, outcome: Outcome) -> list[m.Event]:
        task = self.open.pop(outcome.number)
        assert outcome.attempt == task.attempt
        assert (outcome.number, outcome.attempt) not in self.delivered
        self.delivered.add((outcome.number, outcome.attempt))
        if outcome.cause is Cause.LOST and not outcome.final:
            return [self.submitted(attrs.evolve(task, attempt=task.attempt + 1))]
        return []

    def submitted(self, task: Task) -> m.Submitted:
        self.open[task.number] = task
        return m.Submitted(task)

    def pick(self, index: int, **wanted: bool) -> Peer | None:
        found = [
            peer for peer in self.peers.values() if all(getattr(peer, key) is value for key, value in wanted.items())
        ]
        return found[index % len(found)] if found else None

    def join(self, peer: Peer) -> None:
        self.sessions += 1
        peer.session, peer.connected, peer.stalled = self.sessions, True, False
        peer.received, peer.term = 0, self.term
        peer.inbox.clear()
        peer.outbox.clear()
        self.feed(m.Joined(peer.name, peer.session, peer.capacity, peer.held(results=True)))
        for kept in list(peer.kept.values()):
            if kept.outcome is not None:
                peer.hand_over(kept)
        if peer.draining:
            peer.send(m.Draining(peer.name, peer.session, "it was told to"))
        self.drain_outboxes()

    # what happens ---------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.open) < 12)
    @rule(need=st.sampled_from(NEEDS))
    def submit(self, need: Resources) -> None:
        self.numbers += 1
        self.feed(self.submitted(Task(self.numbers, Genotype((1,)), 1, resources=need)))

    @precondition(lambda self: len(self.peers) < 4)
    @rule(cpus=st.sampled_from([1.0, 2.0, 4.0]))
    def new_worker(self, cpus: float) -> None:
        peer = Peer(f"w{len(self.peers)}", cpus)
        self.peers[peer.name] = peer
        self.join(peer)

    @rule(index=st.integers(0, 9), which=st.integers(0, 9))
    def begin(self, index: int, which: int) -> None:
        peer = self.pick(index, stalled=False)
        waiting = [kept for kept in peer.kept.values() if not kept.began and kept.outcome is None] if peer else []
        if peer and waiting:
            kept = waiting[which % len(waiting)]
            kept.began = True
            peer.send(m.Began(peer.name, peer.session, kept.lease, kept.task.number))
            self.drain_outboxes()

    def running(self, index: int, which: int) -> tuple[Peer, Kept] | None:
        peer = self.pick(index, stalled=False)
        running = [kept for kept in peer.kept.values() if kept.began and kept.outcome is None] if peer else []
        return (peer, running[which % len(running)]) if peer and running else None

    @rule(index=st.integers(0, 9), which=st.integers(0, 9))
    def report(self, index: int, which: int) -> None:
        if (found := self.running(index, which)) is not None:
            peer, kept = found
            kept.step += 1
            report = Report(kept.task.number, kept.task.attempt, kept.step, {"loss": 1.0})
            peer.send(m.Reported(peer.name, peer.session, kept.lease, report))
            self.drain_outboxes()

    @rule(index=st.integers(0, 9), which=st.integers(0, 9), how=st.sampled_from([None, None, None, *Cause]))
    def finish(self, index: int, which: int, how: Cause | None) -> None:
        if (found := self.running(index, which)) is not None:
            peer, kept = found
            self.end(peer, kept, how)

    def end(self, peer: Peer, kept: Kept, how: Cause | None) -> None:
        number, attempt = kept.task.number, kept.task.attempt
        if kept.cancelled:
            outcome = Outcome(number, attempt, worker=peer.name)
        elif how is None:
            outcome = Outcome(number, attempt, {"loss": 1.0}, duration=0.1, worker=peer.name)
        else:
            outcome = Outcome(number, attempt, None, how, "so it is", 0.1, peer.name)
        peer.end(kept, outcome)
        self.drain_outboxes()

    @rule(index=st.integers(0, 9))
    def kill_worker(self, index: int) -> None:
        """It comes back, with nothing, by `come_back`."""
        if (peer := self.pick(index, connected=True)) is not None:
            peer.connected = peer.stalled = peer.draining = False
            peer.kept.clear()
            self.feed(m.Disconnected(peer.name, peer.session))

    @rule(index=st.integers(0, 9), told=st.booleans())
    def cut(self, index: int, told: bool) -> None:
        if (peer := self.pick(index, connected=True)) is not None:
            peer.connected = False
            if told:
                self.feed(m.Disconnected(peer.name, peer.session))

    @rule(index=st.integers(0, 9))
    def come_back(self, index: int) -> None:
        if (peer := self.pick(index, connected=False)) is not None:
            self.join(peer)

    @rule(index=st.integers(0, 9))
    def join_again(self, index: int) -> None:
        if (peer := self.pick(index, connected=True)) is not None:
            self.join(peer)

    @rule(index=st.integers(0, 9))
    def stall(self, index: int) -> None:
        if (peer := self.pick(index, connected=True, stalled=False)) is not None:
            peer.stalled = True

    @rule(index=st.integers(0, 9))
    def go_on(self, index: int) -> None:
        if (peer := self.pick(index, stalled=True)) is not None:
            self.wake(peer)

    def wake(self, peer: Peer) -> None:
        peer.stalled = False
        inbox, peer.inbox = peer.inbox, []
        for said in inbox:
            peer.hear(said)
        self.drain_outboxes()

    @rule(steps=st.integers(1, 30))
    def pass_time(self, steps: int) -> None:
        for _ in range(steps):
            self.now += 0.25
            if self.now % 1.0 == 0.0:
                for peer in list(self.peers.values()):
                    if peer.connected and not peer.stalled:
                        self.feed(m.Heartbeat(peer.name, peer.session, m.Health(), peer.received, peer.held(False)))
            self.feed(m.Ticked())

    @precondition(lambda self: self.results)
    @rule(index=st.integers(0, 99))
    def result_again(self, index: int) -> None:
        self.feed(self.results[index % len(self.results)])

    @rule(index=st.integers(0, 9), number=st.integers(0, 12), term=st.integers(0, 9), serial=st.integers(0, 40))
    def wrong_lease(self, index: int, number: int, term: int, serial: int) -> None:
        lease = m.Lease(self.term + 1 + term, serial)
        outcome = Outcome(number, 1, {"loss": 0.0}, worker="stranger")
        self.feed(m.Resulted("w0" if index % 2 else "stranger", 0, lease, outcome))

    @rule(index=st.integers(0, 9))
    def wrong_session(self, index: int) -> None:
        if (peer := self.pick(index)) is not None:
            before = self.machine.snapshot(self.now)["leases"]
            for event in (m.Left(peer.name, 10**6), m.Disconnected(peer.name, 10**6), m.Draining("nobody", 1, "")):
                self.feed(event)
            assert self.machine.snapshot(self.now)["leases"] == before

    @rule(index=st.integers(0, 12))
    def cancel(self, index: int) -> None:
        if self.open:
            self.feed(m.Cancelled(sorted(self.open)[index % len(self.open)]))

    @rule(index=st.integers(0, 9), which=st.integers(0, 9))
    def lose_task(self, index: int, which: int) -> None:
        if (peer := self.pick(index)) is not None and peer.kept:
            del peer.kept[sorted(peer.kept)[which % len(peer.kept)]]

    @rule(index=st.integers(0, 9))
    def drain(self, index: int) -> None:
        if (peer := self.pick(index, connected=True, stalled=False)) is not None:
            peer.draining = True
            peer.send(m.Draining(peer.name, peer.session, "it was told to"))
            for number, kept in list(peer.kept.items()):
                if not kept.began and kept.outcome is None:
                    del peer.kept[number]
                    peer.send(m.Returned(peer.name, peer.session, kept.lease, number))
            self.drain_outboxes()

    @rule(index=st.integers(0, 9))
    def leave(self, index: int) -> None:
        if (peer := self.pick(index, connected=True, draining=True, stalled=False)) is not None:
            self.feed(m.Left(peer.name, peer.session))
            peer.connected = peer.draining = False
            peer.kept.clear()

    @rule(join_first=st.booleans(), seed=st.integers(0, 99))
    def restart_master(self, join_first: bool, seed: int) -> None:
        self.restart()
        for peer in self.peers.values():
            peer.connected = peer.stalled = False
        tasks = list(self.open.values())
        random.Random(seed).shuffle(tasks)
        if join_first:
            for peer in self.peers.values():
                self.join(peer)
        for task in tasks:
            if task.number in self.open and self.open[task.number] is task:
                self.feed(self.submitted(attrs.evolve(task, attempt=task.attempt + 1)))

    @invariant()
    def consistent(self) -> None:
        if self.term:
            self.machine.check()
            assert self.machine.slots(Resources()) >= 1

    def teardown(self) -> None:
        """Everybody is well again: everything comes to its end."""
        if not self.term:
            return
        for peer in list(self.peers.values()):
            peer.draining = False
            self.join(peer)
        last = Peer("last", 8.0)
        self.peers["last"] = last
        self.join(last)
        for _ in range(300):
            if not self.open:
                break
            for peer in list(self.peers.values()):
                for kept in list(peer.kept.values()):
                    if kept.outcome is None:
                        kept.began = True
                        self.end(peer, kept, None)
            self.pass_time(2)
        assert not self.open, [self.machine.story(number) for number in self.open]


World.TestCase.settings = settings(
    max_examples=60, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True
)
test_whatever_happens = World.TestCase
