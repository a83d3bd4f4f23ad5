"""
tests/wire/test_http.py: pages, log-in, API and metrics over HTTP (RFC 9110, RFC 9112).

Goal: each answer is whole and right, connections go on after it, nothing outside the folder can be
read, and nothing can be seen or done without a log-in.
"""

import contextlib
import gzip
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile

from smqwire import HANG_S, SMQD, TLS_DIR, Server, WireTest, http_head, plain_only

SCHEME = "https" if TLS_DIR else "http"
JSON_HEADERS = ("Content-Type: application/json", "X-Smqd: 1")


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)


class HttpTest(WireTest):
    """Words for requests. Each goes over a connection that stays open: self.web."""

    def setUp(self):
        super().setUp()
        self.web = self.dial()

    def ask(self, path, *headers, method="GET", body=b"", version="1.1", client=None, host="localhost"):
        client = client or self.web
        lines = [f"{method} {path} HTTP/{version}", f"Host: {host}", *headers]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        client.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        return self.answer(client, method)

    def answer(self, client, method="GET"):
        status, headers = client.read_http()
        has_body = method != "HEAD" and status not in (204, 304)
        body = client.read_bytes(int(headers["content-length"])) if has_body else b""
        return Answer(status, headers, body)

    def post(self, path, value, *headers, plain_headers=JSON_HEADERS, **options):
        body = json.dumps(value).encode()
        return self.ask(path, *plain_headers, *headers, method="POST", body=body, **options)

    def assert_status(self, status, path, *headers, **options):
        answer = self.ask(path, *headers, **options)
        self.assertEqual(answer.status, status, f"{path} {headers}: {answer.body!r}")
        return answer


def make_account(data_dir, name="admin", password="correct horse"):
    """A line as `smq passwd` writes it (scrypt with a small N, so that tests are quick)."""
    import base64
    import hashlib

    salt = b"saltsaltsaltsalt"
    digest = hashlib.scrypt(password.encode(), salt=salt, n=1 << 10, r=8, p=1, dklen=32)
    encode = lambda data: base64.b64encode(data).decode().rstrip("=")
    line = f"{name}:$scrypt$ln=10,r=8,p=1${encode(salt)}${encode(digest)}\n"
    path = pathlib.Path(data_dir) / "web-users"
    with open(path, "a") as file:
        file.write(line)
    os.chmod(path, 0o600)


class AccountServer(Server):
    """A server whose users are there before it starts."""

    def start(self):
        self.users_dir = tempfile.mkdtemp(prefix="smqwire-users-")
        make_account(self.users_dir)
        self.args += ["--set", f"web.users={self.users_dir}/web-users"]
        return super().start()

    def _forget(self):
        super()._forget()
        shutil.rmtree(self.users_dir, ignore_errors=True)


class LoginTest(HttpTest):
    """Classes that log in: the account admin, "correct horse"."""

    @classmethod
    def setUpClass(cls):
        cls.server = AccountServer(cls.config, cls.args, cls.env).start()
        cls.addClassCleanup(cls.server.stop)
        cls.server.wait_for_admin()
        cls._gauges_at_start = cls.server.gauges_at_rest()
        cls.addClassCleanup(cls._check_nothing_is_left)

    def log_in(self, password="correct horse", user="admin"):
        answer = self.post("/api/login", {"user": user, "password": password})
        self.assertEqual(answer.status, 200, answer.body)
        return "Cookie: " + answer.headers["set-cookie"].split(";")[0]


class PagesTest(HttpTest):
    def test_smq_js_is_where_the_originals_pages_look_for_it(self):
        answer = self.assert_status(200, "/rtl/smq.js")
        self.assertEqual(answer.headers["content-type"], "text/javascript; charset=utf-8")
        self.assertIn(b"SMQ", answer.body)
        self.assert_status(200, "/rtl/smq.mjs")

    def test_a_page_comes_gzipped_to_who_takes_that(self):
        plain = self.assert_status(200, "/rtl/smq.js")
        self.assertNotIn("content-encoding", plain.headers)
        packed = self.assert_status(200, "/rtl/smq.js", "Accept-Encoding: br, gzip")
        self.assertEqual(packed.headers["content-encoding"], "gzip")
        self.assertEqual(packed.headers["vary"], "Accept-Encoding")
        self.assertEqual(gzip.decompress(packed.body), plain.body)
        self.assertLess(len(packed.body), len(plain.body))
        self.assertNotEqual(packed.headers["etag"], plain.headers["etag"])

    def test_head_is_get_without_the_body(self):
        got = self.assert_status(200, "/rtl/smq.js")
        head = self.assert_status(200, "/rtl/smq.js", method="HEAD")
        self.assertEqual(head.headers["content-length"], str(len(got.body)))
        self.assertEqual(head.headers["etag"], got.headers["etag"])
        self.assert_status(200, "/rtl/smq.js")  # and the next answer begins where it should

    def test_who_has_a_page_already_gets_304(self):
        etag = self.assert_status(200, "/rtl/smq.js").headers["etag"]
        for condition in (etag, f"W/{etag}", f'"x", {etag}', "*"):
            answer = self.assert_status(304, "/rtl/smq.js", f"If-None-Match: {condition}")
            self.assertEqual(answer.headers["etag"], etag)
        self.assert_status(200, "/rtl/smq.js", 'If-None-Match: "other"')

    def test_what_is_not_there_is_404_in_json(self):
        answer = self.assert_status(404, "/nothing.html")
        self.assertEqual(answer.headers["content-type"], "application/json")
        self.assertIn("error", answer.json())

    def test_other_methods_are_405_with_those_that_are_allowed(self):
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
            answer = self.assert_status(405, "/rtl/smq.js", method=method)
            self.assertEqual(answer.headers["allow"], "GET, HEAD")

    def test_a_folder_without_its_slash_redirects(self):
        answer = self.assert_status(308, "/led")
        self.assertEqual(answer.headers["location"], "/led/")
        self.assert_status(200, "/led/")

    def test_a_plain_get_on_a_brokers_path_is_404(self):
        client = self.dial()
        client.send(http_head("/smq.lsp", version="1.1", headers=()))
        self.assertEqual(client.read_http()[0], 404)

    def test_every_answer_has_the_headers_that_keep_browsers_safe(self):
        for path in ("/rtl/smq.js", "/nothing", "/api/session", "/led/"):
            headers = self.ask(path).headers
            self.assertEqual(headers["x-content-type-options"], "nosniff")
            self.assertEqual(headers["referrer-policy"], "same-origin")
            policy = headers["content-security-policy"]
            self.assertIn("default-src 'none'", policy)
            self.assertIn("frame-ancestors 'none'", policy)
            self.assertNotIn("unsafe", policy)
            self.assertEqual("strict-transport-security" in headers, bool(TLS_DIR))
            self.assertRegex(headers["date"], r"^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$")

    def test_pages_are_revalidated_and_answers_of_the_api_are_not_kept(self):
        self.assertEqual(self.ask("/rtl/smq.js").headers["cache-control"], "no-cache")
        self.assertEqual(self.ask("/api/session").headers["cache-control"], "no-store")


class ConnectionTest(HttpTest):
    def test_a_connection_takes_many_requests(self):
        for _ in range(20):
            answer = self.assert_status(200, "/rtl/smq.js")
            self.assertEqual(answer.headers["connection"], "keep-alive")

    def test_requests_that_are_sent_at_once_are_answered_in_order(self):
        heads = "".join(
            f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"
            for path in ("/rtl/smq.js", "/nothing", "/rtl/smq.mjs", "/healthz")
        )
        self.web.send(heads.encode())
        self.assertEqual([self.answer(self.web).status for _ in range(4)], [200, 404, 200, 200])

    def test_a_request_byte_by_byte_is_one_request(self):
        self.web.send_byte_by_byte(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
        self.assertEqual(self.answer(self.web).status, 200)

    def test_who_asks_for_a_close_gets_one(self):
        answer = self.assert_status(200, "/healthz", "Connection: close")
        self.assertEqual(answer.headers["connection"], "close")
        self.web.expect_closed()

    def test_http_1_0_closes_unless_it_asks_to_go_on(self):
        client = self.dial()
        answer = self.assert_status(200, "/healthz", version="1.0", client=client)
        self.assertEqual(answer.headers["connection"], "close")
        client.expect_closed()
        for _ in range(2):
            answer = self.assert_status(200, "/healthz", "Connection: keep-alive", version="1.0")
            self.assertEqual(answer.headers["connection"], "keep-alive")

    @plain_only("close_notify ends both directions")
    def test_a_half_closed_connection_still_gets_its_answer(self):
        self.web.send(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
        self.web.shut()
        self.assertEqual(self.answer(self.web).status, 200)
        self.web.expect_closed()

    def test_http_1_1_needs_one_host(self):
        self.web.send(b"GET /healthz HTTP/1.1\r\n\r\n")
        self.assertEqual(self.web.read_http()[0], 400)
        client = self.dial()
        client.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        self.assertEqual(client.read_http()[0], 400)

    def test_a_whole_url_is_a_path_too(self):
        self.assert_status(200, "http://localhost/healthz")

    def test_a_head_that_is_too_large_is_431(self):
        self.web.send(b"GET /healthz HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 9000)
        self.assertEqual(self.web.read_http()[0], 431)

    def test_a_body_that_is_too_large_is_413(self):
        self.web.send(b"POST /api/login HTTP/1.1\r\nHost: h\r\nContent-Length: 20000\r\n\r\n")
        self.assertEqual(self.web.read_http()[0], 413)

    def test_many_connections_ask_at_once(self):
        clients = [self.dial() for _ in range(100)]
        for client in clients:
            client.send(b"GET /rtl/smq.js HTTP/1.1\r\nHost: h\r\n\r\n")
        for client in clients:
            self.assertEqual(self.answer(client).status, 200)


class RootTest(HttpTest):
    """web.root: the operator's own pages."""

    @classmethod
    def setUpClass(cls):
        base = tempfile.mkdtemp(prefix="smqwire-root-")
        cls.base = pathlib.Path(base)
        cls.root = cls.base / "root"
        (cls.root / "a").mkdir(parents=True)
        (cls.base / "secret").write_text("secret")
        (cls.root / "index.html").write_text("<p>index")
        (cls.root / "a" / "index.html").write_text("<p>a")
        (cls.root / "a" / "x y.txt").write_text("blank")
        (cls.root / ".hidden").write_text("hidden")
        (cls.root / "out").symlink_to("../secret")
        (cls.root / "abs").symlink_to("/etc/passwd")
        (cls.root / "up").symlink_to("..")
        (cls.root / "in").symlink_to("a/index.html")
        os.mkfifo(cls.root / "pipe")
        cls.args = ("--set", f"web.root={cls.root}", "--set", "web.ui=/admin")
        cls.addClassCleanup(shutil.rmtree, base)
        super().setUpClass()

    def test_files_are_served_with_their_type(self):
        answer = self.assert_status(200, "/")
        self.assertEqual((answer.body, answer.headers["content-type"]), (b"<p>index", "text/html; charset=utf-8"))
        self.assertEqual(self.assert_status(200, "/a/x%20y.txt").body, b"blank")
        self.assertEqual(self.assert_status(200, "/a/").body, b"<p>a")
        self.assertEqual(self.assert_status(308, "/a").headers["location"], "/a/")
        self.assertEqual(self.assert_status(200, "/in").body, b"<p>a")

    def test_a_head_of_a_file_says_its_length(self):
        answer = self.assert_status(200, "/", method="HEAD")
        self.assertEqual(answer.headers["content-length"], "8")
        self.assert_status(200, "/")

    def test_nothing_outside_the_folder_can_be_read(self):
        for path in (
            "/../secret", "/a/../../secret", "/%2e%2e/secret", "/..%2fsecret", "/%2e%2e%2fsecret",
            "/out", "/abs", "/up/secret", "/up/", "//etc/passwd", "/a/..%2f..%2fsecret", "/.hidden",
            "/pipe", "/a%2findex.html", "/./index.html", "/....//secret", "/..;/secret",
        ):
            with self.subTest(path):
                answer = self.assert_status(404, path)
                self.assertNotIn(b"secret", answer.body)
        for path in ("/%00", "/a%00.html", "/%", "/%zz"):
            with self.subTest(path):
                self.assertEqual(self.ask(path, client=self.dial()).status, 400)

    def test_a_changed_file_is_served_changed(self):
        path = self.root / "changing.txt"
        path.write_text("one")
        first = self.assert_status(200, "/changing.txt")
        condition = f"If-None-Match: {first.headers['etag']}"
        self.assert_status(304, "/changing.txt", condition)
        path.write_text("another")
        self.assertEqual(self.assert_status(200, "/changing.txt", condition).body, b"another")
        path.unlink()
        self.assert_status(404, "/changing.txt")

    def test_a_large_file_comes_whole_and_a_larger_one_not_at_all(self):
        data = os.urandom(4 << 20)
        (self.root / "large.bin").write_bytes(data)
        self.assertEqual(self.assert_status(200, "/large.bin").body, data)
        with open(self.root / "larger.bin", "wb") as file:
            file.truncate((16 << 20) + 1)
        self.assert_status(500, "/larger.bin")

    def test_an_empty_file_is_no_error(self):
        (self.root / "empty.txt").write_text("")
        self.assertEqual(self.assert_status(200, "/empty.txt").body, b"")

    def test_the_ui_and_its_api_are_below_their_prefix(self):
        self.assertEqual(self.assert_status(308, "/admin").headers["location"], "/admin/")
        self.assert_status(401, "/admin/api/session")
        self.assert_status(404, "/api/session")
        self.assert_status(200, "/rtl/smq.js")

    def test_the_users_pages_may_have_scripts_of_any_kind(self):
        self.assertNotIn("content-security-policy", self.ask("/").headers)


class FirstStartTest(HttpTest):
    def test_the_first_start_makes_a_password_and_says_it_once(self):
        with tempfile.TemporaryDirectory() as folder:
            args = ("--data-dir", folder)
            password = self.start_and_read_password(args)
            self.assertRegex(password, r"^(\w{5}-){3}\w{5}$")
            self.assertEqual(os.stat(f"{folder}/web-users").st_mode & 0o777, 0o600)
            self.assertNotIn(password, pathlib.Path(f"{folder}/web-users").read_text())
            self.web = self.dial()
            answer = self.post("/api/login", {"user": "admin", "password": password})
            self.assertEqual(answer.status, 200)
            self.assertNotIn(password, self.server.log())
            self.server.stop()
            self.assertIsNone(self.start_and_read_password(args))
            self.server.stop()

    def start_and_read_password(self, args):
        """A new server as self.server; the password from its standard output, or None."""
        server = PasswordServer(None, args)
        type(self).server.stop()
        type(self).server = server.start()
        server.wait_for_lines()
        return server.password

    @classmethod
    def _check_nothing_is_left(cls):
        pass

    def tearDown(self):
        pass


class PasswordServer(Server):
    """Reads what comes behind the ready line, too."""

    password = None

    def _wait_ready(self):
        import queue
        import threading

        self.lines = []
        self.seen = threading.Event()

        def pump(stdout):
            for line in stdout:
                self.lines.append(line)
                if line.startswith("smqd ready"):
                    self.listeners = [
                        (host.strip("[]"), int(port))
                        for host, port in re.findall(r"t(?:cp|ls)://([^:\s]+):(\d+)", line)
                    ]
                if line.startswith("web UI"):
                    self.seen.set()

        self._pump = threading.Thread(target=pump, args=(self.process.stdout,), daemon=True)
        self._pump.start()
        if not self.seen.wait(max(30.0, HANG_S)):
            raise AssertionError("smqd did not say where its web UI is\n" + self.log())

    def wait_for_lines(self):
        """Until the server has said all it says: it answers, so it is past that."""
        self.data_dir = pathlib.Path(self.args[self.args.index("--data-dir") + 1])
        self.wait_for_admin()
        for line in self.lines:
            if found := re.search(r"with the password (\S+)", line):
                self.password = found[1]


class LoginLogoutTest(LoginTest):
    def test_nothing_is_seen_without_a_log_in(self):
        for path in ("session", "stats", "peers", "topics", "config"):
            answer = self.assert_status(401, f"/api/{path}")
            self.assertEqual(answer.json(), {"error": "log in"})
        answer = self.post("/api/peers/0.0.1/disconnect", {"reason": "x"})
        self.assertEqual(answer.status, 401)

    def test_the_right_password_opens_a_session(self):
        answer = self.post("/api/login", {"user": "admin", "password": "correct horse"})
        self.assertEqual(answer.status, 200)
        cookie = answer.headers["set-cookie"]
        self.assertRegex(cookie, r"^smqd_session=[0-9a-f]{32}; Path=/; HttpOnly; SameSite=Strict")
        self.assertEqual("; Secure" in cookie, bool(TLS_DIR))
        facts = self.assert_status(200, "/api/session", "Cookie: " + cookie.split(";")[0]).json()
        self.assertEqual(facts["user"], "admin")
        self.assertIn("/smq.lsp", facts["instances"])

    def test_each_log_in_has_a_token_of_its_own(self):
        self.assertNotEqual(self.log_in(), self.log_in())

    def test_the_log_out_ends_the_session(self):
        cookie = self.log_in()
        answer = self.post("/api/logout", {}, cookie)
        self.assertEqual(answer.status, 200)
        self.assertIn("Max-Age=0", answer.headers["set-cookie"])
        self.assert_status(401, "/api/session", cookie)

    def test_a_wrong_password_and_an_unknown_user_are_told_the_same(self):
        answers = [
            self.post("/api/login", {"user": user, "password": password})
            for user, password in (("admin", "wrong"), ("nobody", "correct horse"), ("", ""))
        ]
        self.assertEqual([answer.status for answer in answers], [401] * 3)
        self.assertEqual(len({answer.body for answer in answers}), 1)
        self.log_in()

    def test_a_made_up_cookie_is_no_session(self):
        cookie = self.log_in()
        for wrong in (
            cookie[:-1], cookie + "0", cookie.upper(), "Cookie: smqd_session=" + "0" * 32,
            "Cookie: smqd_session=", "Cookie: other=" + cookie.split("=")[1],
        ):
            self.assert_status(401, "/api/session", wrong)

    def test_what_is_no_log_in_is_400(self):
        for value in ({}, {"user": "admin"}, {"user": 1, "password": 2}, [], "x"):
            answer = self.post("/api/login", value)
            self.assertEqual(answer.status, 400, value)
        answer = self.ask("/api/login", *JSON_HEADERS, method="POST", body=b"{nonsense")
        self.assertEqual(answer.status, 400)

    def test_a_foreign_page_can_do_nothing(self):
        login = {"user": "admin", "password": "correct horse"}
        for headers in (
            ("Content-Type: application/json",),
            ("X-Smqd: 1",),
            ("Content-Type: text/plain", "X-Smqd: 1"),
            (*JSON_HEADERS, "Origin: http://evil.example"),
            (*JSON_HEADERS, "Origin: null"),
        ):
            for path in ("/api/login", "/api/logout", "/api/peers/0.0.1/disconnect"):
                answer = self.post(path, login, plain_headers=headers)
                self.assertEqual(answer.status, 403, headers)
        own = f"Origin: {SCHEME}://localhost"
        self.assertEqual(self.post("/api/login", login, own).status, 200)

    def test_the_wrong_method_is_405(self):
        self.assertEqual(self.assert_status(405, "/api/login").headers["allow"], "POST")
        answer = self.post("/api/session", {})
        self.assertEqual((answer.status, answer.headers["allow"]), (405, "GET, HEAD"))

    def test_a_changed_password_counts_at_once_and_ends_the_sessions(self):
        cookie = self.log_in()
        users = pathlib.Path(self.server.users_dir) / "web-users"
        before = users.read_text()
        try:
            users.unlink()
            make_account(self.server.users_dir, password="battery staple")
            answer = self.post("/api/login", {"user": "admin", "password": "correct horse"})
            self.assertEqual(answer.status, 401)
            self.assert_status(401, "/api/session", cookie)
            self.log_in("battery staple")
            users.write_text("nonsense\n")
            self.log_in("battery staple")  # the old accounts stay
            self.server.wait_for_log("web.accounts_failed")
        finally:
            users.write_text(before)
        self.log_in()


class AuditTest(LoginTest):
    """With a log of its own: elsewhere equal lines are folded."""

    def test_every_log_in_and_out_leaves_a_line_in_the_log(self):
        cookie = self.log_in()
        self.post("/api/logout", {}, cookie)
        self.post("/api/login", {"user": "admin", "password": "wrong"})
        self.log_in()
        self.server.wait_for_log(r"INFO web.login address=127.0.0.1 tls=\w+ user=admin")
        self.server.wait_for_log(r"INFO web.logout user=admin")
        self.server.wait_for_log(r"WARNING web.login_failed address=127.0.0.1 tls=\w+ user=admin")
        log = self.server.new_log()
        self.assertNotIn("correct horse", log)
        self.assertNotIn("wrong", log)


class AttemptsTest(LoginTest):
    def test_guessing_is_bounded(self):
        wrong = {"user": "admin", "password": "guess"}
        for _ in range(10):
            self.assertEqual(self.post("/api/login", wrong).status, 401)
        for password in ("guess", "correct horse"):
            answer = self.post("/api/login", {"user": "admin", "password": password})
            self.assertEqual(answer.status, 429)
            self.assertTrue(1 <= int(answer.headers["retry-after"]) <= 60)
        self.assert_counts("web.logins_failed_total", 10)
        self.assert_counts("web.logins_limited_total", 2)
        self.server.wait_for_log("web.login_limited")

    def test_many_guesses_at_once_do_not_pass_the_bound(self):
        clients = [self.dial() for _ in range(30)]
        body = json.dumps({"user": "admin", "password": "guess"}).encode()
        head = "\r\n".join(
            ["POST /api/login HTTP/1.1", "Host: h", *JSON_HEADERS, f"Content-Length: {len(body)}", "", ""]
        ).encode()
        for client in clients:
            client.send(head + body)
        statuses = [self.answer(client).status for client in clients]
        self.assertLessEqual(statuses.count(401), 10)
        self.assertEqual(statuses.count(401) + statuses.count(429), 30)


class ApiTest(LoginTest):
    def test_stats_are_a_json_object(self):
        stats = self.assert_status(200, "/api/stats", self.log_in()).json()
        self.assertIsInstance(stats, dict)

    def test_every_connection_is_listed(self):
        cookie = self.log_in()
        device = self.connect(info=b"a \"device\"")
        peers = self.assert_status(200, "/api/peers", cookie).json()["peers"]
        mine = [peer for peer in peers if peer["uid"] == device.uid.decode()]
        self.assertEqual([(peer["etid"], peer["info"]) for peer in mine], [(device.etid, 'a "device"')])

    def row_of(self, device, cookie):
        peers = self.assert_status(200, "/api/peers", cookie).json()["peers"]
        return next(peer for peer in peers if peer["etid"] == device.etid)

    def test_only_those_that_are_named_are_listed(self):
        cookie = self.log_in()
        ids = [self.row_of(self.connect(), cookie)["id"] for _ in range(3)]
        for wanted in (ids[:1], ids[:2], ids[::-1], [ids[0], ids[0]]):
            peers = self.assert_status(200, f"/api/peers?ids={','.join(wanted)}", cookie).json()["peers"]
            self.assertEqual({peer["id"] for peer in peers}, set(wanted))
        path = f"/api/peers?x=1&ids={ids[0]},0.19999.77,{ids[2]}"  # one has gone meanwhile
        peers = self.assert_status(200, path, cookie).json()["peers"]
        self.assertEqual({peer["id"] for peer in peers}, {ids[0], ids[2]})

    def test_ids_are_at_most_200_good_ones(self):
        cookie = self.log_in()
        for ids in ("x", "0.1", ",0.1.1", "0.1.1,,0.2.1", "0.1.1;0.2.1", "9.1.1", ",".join(["0.1.1"] * 201)):
            self.assert_status(400, f"/api/peers?ids={ids}", cookie)
        self.assert_status(200, "/api/peers?ids=" + ",".join(["0.19999.1"] * 200), cookie)

    def test_a_device_is_disconnected_with_the_reason(self):
        cookie = self.log_in()
        device, other = self.connect(), self.connect()
        row = self.row_of(device, cookie)
        answer = self.post(f"/api/peers/{row['id']}/disconnect", {"reason": "maintenance"}, cookie)
        self.assertEqual((answer.status, answer.json()), (200, {}))
        device.expect_disconnect("maintenance")
        self.assertEqual(self.assert_status(200, f"/api/peers?ids={row['id']}", cookie).json(), {"peers": []})
        line = f"web.action user=admin address=127.0.0.1 action=disconnect target={row['id']} detail=maintenance"
        self.wait_until(lambda: line in self.server.log(), "the audit's line")
        other.tell(other, b"still here")
        answer = self.post(f"/api/peers/{row['id']}/disconnect", {"reason": "again"}, cookie)
        self.assertEqual(answer.status, 200)
        other.tell(other, b"still here")  # its place may be another one's now: the name tells them apart

    def test_lists_that_are_asked_for_at_once_are_all_made(self):
        cookie = self.log_in()
        clients = [self.dial() for _ in range(10)]
        for number, client in enumerate(clients):
            path = "peers" if number % 2 else "topics"
            client.send(f"GET /api/{path} HTTP/1.1\r\nHost: h\r\n{cookie}\r\n\r\n".encode())
        for _ in range(3):
            self.assertIn("peers", json.loads(self.server.admin("peers")))
        for number, client in enumerate(clients):
            answer = self.answer(client)
            self.assertEqual(answer.status, 200)
            self.assertIn("peers" if number % 2 else "topics", answer.json())

    def test_who_goes_while_a_list_is_made_leaves_nothing_behind(self):
        cookie = self.log_in()
        for _ in range(5):
            client = self.dial()
            client.send(f"GET /api/peers HTTP/1.1\r\nHost: h\r\n{cookie}\r\n\r\n".encode())
            client.reset()
        self.assert_status(200, "/api/peers", cookie)

    def test_every_topic_is_listed_with_its_subscribers(self):
        cookie = self.log_in()
        client, other = self.connect(), self.connect()
        names = [self.topic(f"{i}") for i in range(700)]  # more than one bite of a shard
        tids = {name: client.create(name) for name in names}
        client.subscribe(names[0])
        other.subscribe(names[0])
        odd = self.topic('"odd"\\\n')
        tids[odd] = client.create(odd)
        topics = self.assert_status(200, "/api/topics", cookie).json()["topics"]
        mine = {topic["name"]: topic for topic in topics if topic["name"] in tids}
        self.assertEqual(len(topics), len({(topic["instance"], topic["name"]) for topic in topics}))
        self.assertEqual({name: topic["tid"] for name, topic in mine.items()}, tids)
        self.assertEqual(mine[names[0]]["subscribers"], 2)
        self.assertEqual(mine[odd]["subscribers"], 0)
        self.assertEqual(mine[odd]["instance"], "/smq.lsp")

    def test_the_configuration_is_shown(self):
        text = self.assert_status(200, "/api/config", self.log_in()).json()["text"]
        self.assertIn("limits {", text)
        self.assertIn("listen = {", text)

    def test_what_is_no_call_is_404(self):
        cookie = self.log_in()
        for path in ("", "nothing", "peers/", "session/", "peers//disconnect", "stats/x"):
            self.assert_status(404, f"/api/{path}", cookie)
        answer = self.post("/api/peers/x/disconnect", {"reason": "x"}, cookie)
        self.assertEqual(answer.status, 404)
        for name in ("0.0", "0.0.0.0", "9.0.1", "0.0.-1", "0.0.99999", "0.9999999999.1", "1", ".."):
            answer = self.post(f"/api/peers/{name}/disconnect", {"reason": "x"}, cookie)
            self.assertEqual(answer.status, 404, name)

    def test_a_reason_is_needed_to_disconnect(self):
        cookie = self.log_in()
        for value in ({}, {"reason": 1}, {"reason": "x" * 200}):
            answer = self.post("/api/peers/0.0.1/disconnect", value, cookie)
            self.assertEqual(answer.status, 400)

    def test_who_is_not_there_any_more_can_be_disconnected_all_the_same(self):
        answer = self.post("/api/peers/0.19999.77/disconnect", {"reason": "x"}, self.log_in())
        self.assertEqual(answer.status, 200)


class TokenTest(LoginTest):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.mkdtemp(prefix="smqwire-token-")
        cls.addClassCleanup(shutil.rmtree, folder)
        (pathlib.Path(folder) / "token").write_text("0123456789abcdef\nsecond line\n")
        cls.args = ("--set", f"web.token_file={folder}/token")
        super().setUpClass()

    def test_a_program_with_the_token_may_read(self):
        for path in ("stats", "peers", "topics"):
            self.assert_status(200, f"/api/{path}", "Authorization: Bearer 0123456789abcdef")

    def test_and_nothing_else(self):
        token = "Authorization: Bearer 0123456789abcdef"
        for path in ("session", "config"):
            self.assert_status(401, f"/api/{path}", token)
        answer = self.post("/api/peers/0.0.1/disconnect", {"reason": "x"}, token)
        self.assertEqual(answer.status, 401)

    def test_a_wrong_token_is_none(self):
        for word in ("0123456789abcdeX", "0123456789abcde", "0123456789abcdef0", "", "second line"):
            self.assert_status(401, "/api/stats", f"Authorization: Bearer {word}")
        self.assert_status(401, "/api/stats", "Authorization: Basic 0123456789abcdef")

    def test_the_token_is_in_no_configuration_that_is_shown(self):
        text = self.assert_status(200, "/api/config", self.log_in()).body
        self.assertNotIn(b"0123456789abcdef", text)


class SessionTimeTest(LoginTest):
    """web.session_ms: cut short by the smallest value is a minute, so the unit tests have the rest."""

    config = "web { session_ms = 1min }"

    def test_a_session_is_counted(self):
        self.log_in()
        self.wait_until(lambda: self.server.counter("web.sessions") == 1, "one session")


METRIC = re.compile(
    r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{[a-z_]+="(?:[^"\\\n]|\\["\\n])*"(?:,[a-z_]+="(?:[^"\\\n]|\\["\\n])*")*\})? '
    r"(-?[0-9.]+(?:e[+-]?\d+)?)$"
)


class MetricsTest(HttpTest):
    def read(self):
        answer = self.assert_status(200, "/metrics")
        self.assertEqual(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8")
        return answer.body.decode("ascii")

    def test_each_line_is_of_the_format(self):
        text = self.read()
        self.assertTrue(text.endswith("\n"))
        kinds, helped, seen, current = {}, set(), set(), None
        for line in text.splitlines():
            if found := re.match(r"^# HELP (\S+) \S.*$", line):
                self.assertNotIn(found[1], helped, "once for each name")
                helped.add(found[1])
                current = found[1]
            elif found := re.match(r"^# TYPE (\S+) (counter|gauge)$", line):
                self.assertEqual(found[1], current, "TYPE follows its HELP")
                kinds[found[1]] = found[2]
            else:
                found = METRIC.match(line)
                self.assertTrue(found, line)
                self.assertEqual(found[1], current, "values follow their TYPE")
                self.assertNotIn((found[1], found[2]), seen, "no sample twice")
                seen.add((found[1], found[2]))
        self.assertEqual(set(kinds), helped)
        for name, kind in kinds.items():
            self.assertEqual(name.endswith("_total"), kind == "counter", name)
            self.assertTrue(name.startswith("smqd_"), name)

    def value(self, name):
        found = [line for line in self.read().splitlines() if line.startswith(name + " ") or line.startswith(name + "{")]
        self.assertTrue(found, name)
        return sum(float(line.split(" ")[-1]) for line in found)

    def test_the_figures_are_those_of_the_broker(self):
        before = self.value("smqd_io_messages_in_total")
        alice, bob = self.connect(), self.connect()
        for _ in range(10):
            alice.tell(bob, b"x")
        self.assertEqual(self.value("smqd_io_messages_in_total"), before + 10)
        self.assertEqual(self.value("smqd_io_live"), 2)
        self.assertEqual(self.value('smqd_limit_used{limit="connections"}'), 2)

    def test_programs_on_this_machine_learn_how_it_is(self):
        self.assertEqual(self.assert_status(200, "/healthz").body, b"alive\n")
        self.assertEqual(self.assert_status(200, "/readyz").body, b"ready\n")


class NoMachinesTest(HttpTest):
    config = "web { machines = off }"

    def test_machines_can_be_kept_out(self):
        for path in ("/metrics", "/healthz", "/readyz"):
            self.assert_status(404, path)


class MachinesListenerTest(HttpTest):
    URL = "tcp://127.0.0.2:0"
    args = ("--listen", "tcp://127.0.0.1:0", "--listen", URL, "--set", f"web.machines_listener={URL}")

    def test_machines_ask_on_the_one_address_that_is_for_them(self):
        self.assert_status(404, "/healthz")
        for path in ("/healthz", "/readyz", "/metrics"):
            self.assert_status(200, path, client=self.dial(listener=1))

    def test_it_must_be_one_of_those_in_listen(self):
        checked = subprocess.run(
            [SMQD, "--check-config", "--set", "web.machines_listener=tcp://127.0.0.1:1"],
            capture_output=True, text=True,
        )  # fmt: skip
        self.assertNotEqual(checked.returncode, 0)
        self.assertIn("not one of the addresses in listen", checked.stderr)


class NoWebTest(HttpTest):
    config = "web { enabled = off }"

    def test_without_the_web_only_the_broker_is_there(self):
        for path in ("/", "/rtl/smq.js", "/metrics", "/api/session"):
            client = self.dial()
            client.send(f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
            self.assertEqual(client.read_http()[0], 404)
        self.assertNotIn("web", self.server.stats())
        self.assertFalse((self.server.data_dir / "web-users").exists())


class DrainTest(HttpTest):
    def test_the_server_ends_while_pages_are_asked_for(self):
        clients = [self.dial() for _ in range(20)]
        for client in clients:
            client.send(b"GET /rtl/smq.js HTTP/1.1\r\nHost: h\r\n\r\n" * 3)
        self.server.signal(signal.SIGTERM)
        for client in clients:
            with contextlib.suppress(AssertionError):
                client.read_all()
        self.server.stop()
