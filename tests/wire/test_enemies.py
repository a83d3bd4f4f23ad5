"""
tests/wire/test_enemies.py: what hostile and broken clients do, beside well-behaved ones.

Method: a pair of good clients talks all the while an enemy does its worst; not one of their
messages may be lost, changed or reordered. Afterwards the class's end checks that nothing the
enemies left is kept (WireTest compares the broker's gauges with those at its start).
"""

import contextlib
import random
import socket
import threading

from smqwire import (
    HANG_S,
    PING,
    PONG,
    WireTest,
    change,
    connect_frame,
    create,
    createsub,
    http_head,
    observe,
    pubfrag,
    publish,
    raw_frame,
    raw_only,
    subscribe,
    unobserve,
    unsubscribe,
    wire,
)


class EnemyTest(WireTest):
    @contextlib.contextmanager
    def good_clients_talking(self):
        """Two clients exchange messages as long as the block runs; each is checked."""
        first, second = self.connect(label="good one"), self.connect(label="good two")
        tid = second.subscribe(self.topic("good"))
        stop, failures, talked_count = threading.Event(), [], 0

        def talk():
            nonlocal talked_count
            try:
                while not stop.is_set() or talked_count < 20:
                    first.publish(tid, f"{talked_count}")
                    second.expect(publish(tid, first.etid, f"{talked_count}"))
                    second.tell(first, b"answer")
                    talked_count += 1
            except BaseException as failure:
                failures.append(failure)

        thread = threading.Thread(target=talk)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
        if failures:
            raise failures[0]
        second.expect_nothing_about(self.topic("good"))

    # -- connections --

    def test_thousands_of_half_open_connections_disturb_nobody(self):
        with self.good_clients_talking():
            half_open = []
            for i in range(2000):
                client = self.dial()
                client.send(
                    [b"", b"GET", http_head()[:-1], http_head(), http_head() + b"\0\x20"][i % 5]
                    or b"G"
                )
                half_open.append(client)
            newcomer = self.connect()
            newcomer.tell(newcomer, b"served")
            for client in half_open:
                client.close()

    def test_connecting_and_leaving_as_fast_as_possible_disturbs_nobody(self):
        address = self.server.listeners[0]
        with self.good_clients_talking():
            for i in range(1500):
                with socket.create_connection(address) as connection:
                    if i % 4:
                        connection.sendall(
                            http_head() + bytes(connect_frame(self.new_uid()))[: i % 40]
                        )
                    if i % 3 == 0:
                        connection.setsockopt(
                            socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
                        )

    @raw_only("it sends PubFrags")
    def test_five_hundred_clients_that_vanish_at_once_are_all_gone(self):
        observer = self.connect()
        tid = observer.create(self.topic())
        observer.observe(tid, 0)
        clients = self.connect_many(500)
        for client in clients:
            client.send(subscribe(self.topic()), observe(tid), pubfrag(0, client.etid, b"half"))
        observer.expect(*[change(tid, count) for count in range(1, 501)])
        for client in clients:
            client.reset()
        observer.expect(*[change(tid, count) for count in range(499, -1, -1)])

    def test_a_reconnect_storm_with_the_same_uids_ends_with_everyone_back(self):
        uids = [self.new_uid() for _ in range(200)]
        etids = {uid: self.connect(uid).etid for uid in uids}
        with self.good_clients_talking():
            for _ in range(3):
                clients = {}
                for uid in uids:
                    clients[uid] = self.dial()
                    clients[uid].send(http_head(), connect_frame(uid))
                for uid, client in clients.items():
                    client.read_init()
                    self.assertEqual(client.read_connack(), etids[uid])
        for client in clients.values():
            client.expect_nothing()

    # -- names and numbers --

    def test_names_by_the_thousand_are_served_or_denied(self):
        with self.good_clients_talking():
            for way in (create, subscribe, createsub):
                client = self.connect()
                for start in range(0, 3000, 500):
                    names = {
                        f"{self.topic()}/{way.__name__}/{i}".encode()
                        for i in range(start, start + 500)
                    }
                    client.send(*map(way, names))
                    acks = client.read_frames(500)
                    self.assertEqual({frame.body[5:] for frame in acks}, names)

    def test_huge_names_are_denied_or_served_whole(self):
        dice = random.Random(9)
        with self.good_clients_talking():
            for _ in range(30):
                client, name = self.connect(), dice.randbytes(dice.choice((1000, 30_000, 65_500)))
                for way in (subscribe, create, createsub):
                    client.send(way(name))
                    self.assertEqual(client.read_frame().body[5:], name)

    def test_publishing_to_every_id_it_can_guess_reaches_nobody_by_chance(self):
        dice = random.Random(10)
        with self.good_clients_talking():
            client = self.connect()
            for _ in range(20):
                client.send(
                    *[publish(dice.getrandbits(32), client.etid, b"guess") for _ in range(1000)]
                )
                client.expect_nothing()

    def test_ids_next_to_real_ones_reach_nobody(self):
        enemy, good = self.connect(), self.connect()
        tid = good.subscribe(self.topic())
        near = {number ^ (1 << bit) for number in (tid, good.etid) for bit in range(32)} - {
            tid,
            good.etid,
            enemy.etid,
        }
        enemy.send(*[publish(number, enemy.etid, b"near miss") for number in near])
        enemy.tell(good, b"hit")
        enemy.publish(tid, b"hit")
        good.expect(publish(tid, enemy.etid, b"hit"))

    def test_storms_of_observe_and_subscribe_leave_things_right(self):
        dice = random.Random(11)
        with self.good_clients_talking():
            enemies = self.connect_many(5)
            names = [self.topic(str(i)) for i in range(20)]
            tids = [enemies[0].create(name) for name in names]
            for enemy in enemies:
                storm = []
                for _ in range(3000):
                    tid = dice.choice(tids + [client.etid for client in enemies])
                    storm.append(dice.choice((observe, unobserve, unsubscribe))(tid))
                    storm.append(subscribe(dice.choice(names)))
                    storm.append(publish(enemy.etid ^ 1, enemy.etid))
                self.read_while_sending(enemy, storm)
            for enemy in enemies:
                enemy.reset()
            observer = self.connect()
            for name in names:
                tid = observer.create(name)
                observer.send(observe(tid))
                while observer.expect_type(wire.SMQ_CHANGE) != change(tid, 0):
                    pass  # the enemies' leaving may still be on its way

    def read_while_sending(self, client, frames):
        """Send @frames, taking whatever comes back, until the answer to a last Ping."""
        data, received = b"".join(map(bytes, frames)) + bytes(PING), bytearray()
        client.socket.settimeout(0.01)
        while data:
            with contextlib.suppress(TimeoutError):
                sent = client.socket.send(data[:65536])
                data = data[sent:]
            with contextlib.suppress(TimeoutError):
                received += client.socket.recv(1 << 20)
        client.socket.settimeout(HANG_S)
        client.buffer += received
        while client.read_frame() != PONG:
            pass

    # -- frames --

    def test_floods_of_small_frames_are_all_done(self):
        with self.good_clients_talking():
            client = self.connect()
            for _ in range(5):
                client.send(*[raw_frame(wire.SMQ_PONG)] * 50_000)
                client.expect_nothing()

    def test_giant_frames_that_never_end_hold_up_nobody(self):
        with self.good_clients_talking():
            clients = self.connect_many(100)
            for client in clients:
                client.send(raw_frame(wire.SMQ_PUBLISH, bytes(30_000), length=65535))
            newcomer = self.connect()
            newcomer.tell(newcomer, b"served")
            for i, client in enumerate(clients):
                (client.close if i % 2 else client.reset)()

    def test_many_senders_of_one_byte_at_a_time_are_all_served(self):
        clients = self.connect_many(20)
        with self.good_clients_talking():
            streams = [
                bytes(publish(client.etid, client.etid, f"slow {i}"))
                for i, client in enumerate(clients)
            ]
            for offset in range(max(map(len, streams))):
                for client, stream in zip(clients, streams):
                    client.send(stream[offset : offset + 1])
            for i, client in enumerate(clients):
                client.expect(publish(client.etid, client.etid, f"slow {i}"))

    def test_liars_and_rubbish_in_parallel_disturb_nobody(self):
        dice = random.Random(12)
        with self.good_clients_talking():
            for _ in range(200):
                enemy = self.connect()
                with contextlib.suppress(OSError):
                    enemy.send(
                        *[
                            dice.choice(
                                (
                                    lambda: publish(
                                        dice.getrandbits(32), dice.getrandbits(32), b"lie"
                                    ),
                                    lambda: pubfrag(0, enemy.etid, dice.randbytes(100)),
                                    lambda: raw_frame(
                                        dice.randrange(256), dice.randbytes(dice.randrange(40))
                                    ),
                                    lambda: dice.randbytes(7),
                                )
                            )()
                            for _ in range(10)
                        ]
                    )
                (enemy.close, enemy.reset, enemy.shut)[dice.randrange(3)]()


class FewHandshakesTest(WireTest):
    """Half-open connections against a small table with a short deadline."""

    config = "limits { handshakes = 100  handshake_ms = 1000 }"
    good_clients_talking = EnemyTest.good_clients_talking

    def test_they_keep_newcomers_waiting_but_not_for_ever_and_nobody_else(self):
        with self.good_clients_talking():
            for _ in range(1000):
                client = self.dial()
                with contextlib.suppress(OSError):
                    client.send(http_head())
            self.wait_until(
                self.newcomer_is_served, "a newcomer gets in when the deadlines have passed"
            )
        self.doCleanups()
        self.wait_until(self.newcomer_is_served, "a newcomer is served")

    def newcomer_is_served(self):
        client = self.dial()
        try:
            client.send(http_head(), connect_frame(self.new_uid()))
            client.read_init()
            client.read_connack()
            return True
        except (AssertionError, OSError):
            client.close()
            return False
