"""
tests/wire/test_examples.py: the scripts under configs/examples/ as they stand there, each run by the real
server with its own configuration (but for addresses and folders).
"""

import http.server
import json
import os
import pathlib
import re
import sqlite3
import struct
import threading
import time

from smqwire import WireTest, connect_frame, publish, raw_only

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "configs" / "examples"
SERVER = 1


class ExampleTest(WireTest):
    name = ""
    settings = ""  # more lines of the configuration

    @classmethod
    def setUpClass(cls):
        text = (EXAMPLES / f"{cls.name}.conf").read_text()
        text = re.sub(r"(?m)^listen = .*$", "", text)
        text = text.replace("configs/examples/", f"{EXAMPLES}/")
        cls.config = text + "\n" + cls.settings
        super().setUpClass()
        cls("run").wait_until(
            lambda: cls.server.stats()["scripts"][0]["loaded"] == 1, "the script is loaded"
        )
        cls._gauges_at_start = cls.server.gauges_at_rest()

    def call(self, client, name, *args):
        """One request of smqrpc, and its answer."""
        request = {"id": 7, "name": name, "args": args}
        response = client.createsub("$RpcResp")
        client.publish(SERVER, json.dumps(request).encode(), client.createsub("$RpcReq"))
        frame = client.read_frame()
        self.assertEqual(frame, publish(client.etid, SERVER, frame.body[12:], response))
        answer = json.loads(frame.body[12:])
        self.assertEqual(answer["id"], 7)
        return answer


class DatabaseTest(ExampleTest):
    """The database is a file in data_dir, where harden = on lets a script write."""

    settings = "script { callback_ms = 60s }"  # the disk of a busy machine is not what is tested

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.path = cls.server.data_dir / f"{cls.name}.db"

    def execute(self, *statement):
        with sqlite3.connect(self.path, timeout=10) as database:
            return database.execute(*statement).fetchall()


class DevicesTest(DatabaseTest):
    name = "devices"

    def setUp(self):
        super().setUp()
        self.execute("insert or replace into device values ('pump-1', 'it''s secret', 1), ('pump-2', 'other', 0)")

    def tearDown(self):
        pass  # a newcomer is none of the devices

    def show(self, uid, secret):
        client = self.bootstrap()
        client.send(connect_frame(uid, secret))
        return client

    def test_devices_come_in_by_the_table(self):
        self.show(b"pump-1", b"it's secret").read_connack()
        self.show(b"pump-1", b"wrong").expect_refused(3)
        self.show(b"pump-2", b"other").expect_refused(6)
        self.show(b"pump-3", b"").expect_refused(3)
        self.show(b"x' or '1'='1", b"").expect_refused(3)
        self.execute("insert into device values ('pump-3', 'new', 1)")
        self.show(b"pump-3", b"new").read_connack()


class TelemetryTest(DatabaseTest):
    name = "telemetry"

    def test_readings_are_stored_and_told(self):
        client = self.connect()
        tid = client.create("telemetry")
        for value in (1.5, 2.5, 3.5):
            client.publish(tid, json.dumps({"device": "it's", "value": value}).encode())
        client.publish(tid, b'{"device":"bad"}')
        self.wait_until(lambda: self.count() == 3, "the readings are in the database")
        points = self.call(client, "history", "it's")["rsp"]
        self.assertTrue(points and all(1.5 <= value <= 3.5 for _, value in points), points)
        self.assertEqual(self.call(client, "history", "nobody")["rsp"], [])

    def test_an_hour_of_many_readings_fits_into_an_answer(self):
        """3,600 and more, a mean for each ten seconds."""
        now_ms = int(time.time()) * 1000
        with sqlite3.connect(self.path, timeout=10) as database:
            database.executemany(
                "insert into reading values ('busy', ?, ?)", ((now_ms - i * 500, i % 2) for i in range(7000))
            )
        points = self.call(self.connect(), "history", "busy")["rsp"]
        self.assertIn(len(points), (350, 351))
        self.assertEqual([value for _, value in points[1:-1]], [0.5] * (len(points) - 2))
        self.assertEqual(sorted(points), points)

    def count(self):
        return self.execute("select count(*) from reading where device = 'it''s'")[0][0]

    @raw_only("it speaks HTTP")
    def test_the_page_is_served(self):
        kinds = {"html": b"text/html", "js": b"text/javascript", "css": b"text/css"}
        for name, kind in kinds.items():
            client = self.dial()
            request = f"GET /telemetry.{name} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            client.send(request.encode())
            answer = client.read_all()
            self.assertIn(b" 200 ", answer.split(b"\r\n")[0])
            self.assertIn(kind, answer)


class RpcTest(ExampleTest):
    name = "rpc"

    def test_functions_answer(self):
        client = self.connect()
        self.assertEqual(self.call(client, "add", 2, 40), {"id": 7, "rsp": 42})
        self.assertEqual(self.call(client, "add", 2, "x"), {"id": 7, "err": "two numbers are needed"})
        self.assertEqual(self.call(client, "nothing"), {"id": 7, "err": "there is no nothing"})


class FirmwareTest(ExampleTest):
    name = "firmware"

    def test_a_device_needs_to_ask_for_nothing(self):
        device, page = self.connect(), self.connect()
        readings = page.subscribe("sensor/readings")
        device.publish(4711, struct.pack("!HI", 7, 1000))
        device.expect(publish(device.etid, SERVER, b"\0\7", 1))
        frame = page.read_frame()
        self.assertEqual(frame, publish(readings, SERVER, frame.body[12:]))
        self.assertEqual(json.loads(frame.body[12:]), {"kind": 7, "value": 1000})
        device.publish(4711, b"short")
        device.expect(publish(device.etid, SERVER, b"6 bytes are needed", 2))


class Service(http.server.BaseHTTPRequestHandler):
    received = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).received.append(json.loads(body))
        self.send_response(201)
        self.end_headers()
        self.wfile.write(b"noted")

    def log_message(self, *_):
        pass


class BridgeTest(ExampleTest):
    name = "bridge"

    @classmethod
    def setUpClass(cls):
        service = http.server.HTTPServer(("127.0.0.1", 0), Service)
        thread = threading.Thread(target=service.serve_forever)
        thread.start()
        cls.addClassCleanup(thread.join)
        cls.addClassCleanup(service.server_close)
        cls.addClassCleanup(service.shutdown)
        cls.env = {"BRIDGE_URL": f"http://127.0.0.1:{service.server_port}/alarm"}
        super().setUpClass()

    def test_alarms_are_posted(self):
        if not os.path.exists("/usr/share/lua/5.4/socket/http.lua"):
            self.skipTest("lua-socket is not installed")
        client = self.connect()
        tid = client.subscribe("alarm/answer")
        client.publish(client.create("alarm"), b"it's burning")
        frame = client.read_frame()
        self.assertEqual(frame, publish(tid, SERVER, frame.body[12:]))
        self.assertEqual(json.loads(frame.body[12:]), {"code": 201, "answer": "noted"})
        self.assertEqual(Service.received, [{"from": client.etid, "text": "it's burning"}])
