"""
tests/wire/test_model.py: random conversations of several clients, compared with a model of §4.

Method: a world is a handful of clients and topics. Each step does one random thing and the model
says which frames that must bring to whom; they are all read, in any order within the step, before
the next one. A keeper observes every topic and every client, so that each step has an effect it
can see, and the next one never races with it. Several worlds run side by side on one server, so
the server itself sees their steps interleaved at random.

A failure prints its seed: SMQ_WIRE_SEED=N tests/wire/run.py model runs that world again;
SMQ_WIRE_STEPS sets the length.
"""

import collections
import os
import random

from smqwire import (
    OVER_WS,
    PING,
    PONG,
    WireTest,
    change,
    create,
    createack,
    disconnect,
    in_threads,
    numbered,
    observe,
    pubfrag,
    publish,
    suback,
    subscribe,
    unobserve,
    unsubscribe,
    wire,
)

STEPS_COUNT = int(os.environ.get("SMQ_WIRE_STEPS", "400"))
SEED = os.environ.get("SMQ_WIRE_SEED")
TOPICS_COUNT = 5
CLIENTS_MAX = 7


class Peer:
    """What the model knows of one client."""

    def __init__(self, client):
        self.client = client
        self.subscribed = set()  # TIDs
        self.observed_topics = set()
        self.observed_peers = set()  # Peers
        self.pieces = b""

    @property
    def etid(self):
        return self.client.etid


class World:
    def __init__(self, test, seed):
        self.test, self.seed, self.dice = test, seed, random.Random(seed)
        self.peers, self.expected, self.story = [], collections.defaultdict(list), []
        self.keeper = test.connect(label=f"keeper of world {seed}")
        self.names = [f"{test.topic()}/{seed}/{i}" for i in range(TOPICS_COUNT)]
        self.tids = [self.keeper.create(name) for name in self.names]
        for tid in self.tids:
            self.keeper.observe(tid, 0)

    def run(self, steps_count):
        try:
            for _ in range(steps_count):
                self.step()
            while self.peers:
                self.leave(self.peers[-1])
                self.settle()
        except BaseException as failure:
            raise AssertionError(
                f"seed {self.seed}, after {self.story[-6:]}:\n{failure}"
            ) from failure

    def step(self):
        steps = [self.come] * (len(self.peers) < CLIENTS_MAX)
        if self.peers:
            steps += [
                self.subscribe,
                self.unsubscribe,
                self.publish,
                self.publish,
                self.publish,
                self.publish if OVER_WS else self.pieces,
                self.observe,
                self.unobserve,
                self.create,
                self.ping,
                self.nonsense,
            ] * 2
            steps += [self.leave, self.take_over]
        step = self.dice.choice(steps)
        peer = self.dice.choice(self.peers) if self.peers else None
        self.story.append(f"{step.__name__} {peer and peer.client.label}")
        step(*([] if step == self.come else [peer]))
        self.settle()

    # -- what is expected --

    def expect(self, client, *frames):
        self.expected[client].extend(frames)

    def settle(self):
        """Everything the model expects has come, and at whoever is involved nothing more."""
        for client, frames in self.expected.items():
            client.expect_any_order(*frames)
        for client in self.expected:
            client.expect_nothing()
        self.expected.clear()

    def subscribers(self, tid):
        return [peer for peer in self.peers if tid in peer.subscribed]

    def count_changed(self, tid):
        self.expect(self.keeper, change(tid, len(self.subscribers(tid))))
        for peer in self.peers:
            if tid in peer.observed_topics:
                self.expect(peer.client, change(tid, len(self.subscribers(tid))))

    # -- coming and going --

    def come(self):
        client = self.test.connect(label=f"{self.seed}.{len(self.story)}")
        self.keeper.observe_client(client)
        self.peers.append(Peer(client))

    def forget(self, peer):
        """@peer's connection ends: who is told what."""
        self.peers.remove(peer)
        self.expect(self.keeper, change(peer.etid, 0))
        for other in self.peers:
            if peer in other.observed_peers:
                other.observed_peers.remove(peer)
                self.expect(other.client, change(peer.etid, 0))
        for tid in peer.subscribed:
            self.count_changed(tid)

    def leave(self, peer):
        way = self.dice.choice(("close", "reset", "shut", "disconnect", "error"))
        if way in ("close", "reset"):
            getattr(peer.client, way)()
        else:
            {
                "shut": peer.client.shut,
                "disconnect": lambda: peer.client.send(disconnect("bye")),
                "error": lambda: peer.client.send(b"\0\2\0"),
            }[way]()
            if way == "error":
                peer.client.expect_type(wire.SMQ_DISCONNECT)
            peer.client.expect_closed()
        self.forget(peer)

    def take_over(self, peer):
        newcomer = self.test.connect(peer.client.uid, label=f"{self.seed}.{len(self.story)}")
        self.test.assertEqual(newcomer.etid, peer.etid)
        peer.client.expect(disconnect("reconnect"))
        peer.client.expect_closed()
        self.forget(peer)
        self.settle()
        self.keeper.observe_client(newcomer)
        self.peers.append(Peer(newcomer))

    # -- names --

    def subscribe(self, peer):
        index = self.dice.randrange(TOPICS_COUNT)
        tid, name = self.tids[index], self.names[index]
        peer.client.send(subscribe(name))
        if tid not in peer.subscribed:
            peer.subscribed.add(tid)
            self.count_changed(tid)
        self.expect(peer.client, suback(tid, name))

    def unsubscribe(self, peer):
        index = self.dice.randrange(TOPICS_COUNT)
        tid = self.tids[index]
        peer.client.send(unsubscribe(tid), create(self.names[index]))
        self.expect(peer.client, createack(tid, self.names[index]))
        if tid in peer.subscribed:
            peer.subscribed.remove(tid)
            self.count_changed(tid)

    def create(self, peer):
        index = self.dice.randrange(TOPICS_COUNT)
        peer.client.send(create(self.names[index]))
        self.expect(peer.client, createack(self.tids[index], self.names[index]))

    # -- messages --

    def payload(self):
        return self.dice.randbytes(self.dice.choice((0, 1, 20, 64, 300, 2000, 9000)))

    def deliver(self, peer, destination, payload, stid):
        """
        Expect the message that @peer has just sent. One to a topic has a Create behind it: when
        nobody subscribes there is nothing else to see, and who subscribes next must not get it.
        """
        if destination in self.tids:
            name = self.names[self.tids.index(destination)]
            peer.client.send(create(name))
            self.expect(peer.client, createack(destination, name))
        frame = publish(destination, peer.etid, payload, stid)
        for to in self.peers:
            if destination in to.subscribed or destination == to.etid:
                self.expect(to.client, frame)

    def destination(self):
        return self.dice.choice([*self.tids, *(peer.etid for peer in self.peers), 0x12345678])

    def publish(self, peer):
        for _ in range(self.dice.choice((1, 1, 2, 10))):
            destination, payload, stid = (
                self.destination(),
                self.payload(),
                self.dice.getrandbits(32),
            )
            peer.client.publish(destination, payload, stid)
            self.deliver(peer, destination, payload, stid)

    def pieces(self, peer):
        """One piece of a PubFrag, or the last one; others' steps come in between."""
        piece, stid = self.payload(), self.dice.getrandbits(32)
        last = (
            self.dice.random() < 0.5
            or len(peer.pieces) + len(piece) > wire.SMQ_PAYLOAD_BYTES_MAX - 10_000
        )
        destination = self.destination() if last else 0
        peer.client.send(pubfrag(destination, peer.etid, piece, stid))
        peer.pieces += piece
        if last:
            self.deliver(peer, destination, peer.pieces, stid)
            peer.pieces = b""

    def ping(self, peer):
        peer.client.send(PING)
        self.expect(peer.client, PONG)

    # -- observing --

    def observe(self, peer):
        other = self.dice.choice(self.peers)
        index = self.dice.randrange(TOPICS_COUNT)
        tid = self.tids[index]
        if self.dice.random() < 0.5:
            if tid not in peer.observed_topics:
                peer.observed_topics.add(tid)
                peer.client.send(observe(tid))
                self.expect(peer.client, change(tid, len(self.subscribers(tid))))
        elif other is peer:
            peer.client.send(observe(peer.etid))  # ignored
            peer.client.tell(peer.client, b"barrier")
        else:
            peer.observed_peers.add(other)
            peer.client.observe_client(other.client)

    def unobserve(self, peer):
        if self.dice.random() < 0.5:
            index = self.dice.randrange(TOPICS_COUNT)
            peer.client.send(unobserve(self.tids[index]))
            peer.client.expect_nothing_about(self.names[index])
            peer.observed_topics.discard(self.tids[index])
        else:
            other = self.dice.choice(self.peers)
            peer.client.send(unobserve(other.etid))
            peer.client.tell(other.client, b"barrier")
            peer.observed_peers.discard(other)

    def nonsense(self, peer):
        """What must be ignored, in the middle of everything."""
        number = self.dice.choice((0, 1, peer.etid, 0x12345678))
        frame_type = self.dice.choice((wire.SMQ_UNSUBSCRIBE, wire.SMQ_UNOBSERVE))
        peer.client.send(numbered(frame_type, number), PONG, observe(0x12345678), subscribe(""))
        self.expect(peer.client, change(0x12345678, 0), suback(0, "", status=1))


class ModelTest(WireTest):
    def run_worlds(self, *seeds):
        worlds = [World(self, seed) for seed in seeds]
        in_threads(*[lambda w=world: w.run(STEPS_COUNT) for world in worlds])

    def test_a_random_world_goes_as_the_model_says(self):
        self.run_worlds(int(SEED) if SEED else random.randrange(1 << 32))

    def test_random_worlds_side_by_side_go_as_the_model_says(self):
        if SEED:
            self.skipTest("one seed was asked for")
        self.run_worlds(*[random.randrange(1 << 32) for _ in range(6)])

    def test_the_worlds_everybody_runs(self):
        """Fixed seeds: a failure here is not new luck but a change of the broker."""
        for seed in range(3):
            self.run_worlds(seed)
