/*
 * tests/web/mock/server.mjs — the web UI with a make-believe server behind it.
 *
 *      node tests/web/mock/server.mjs --port 8090 --peers 20000     to look at (admin, secret)
 *      const mock = await startMock({peers: 50000});                 in a test
 *
 * It speaks the HTTP API and the admin instance as the pages use them, so that a page can be
 * driven where the real server would need 50,000 devices, a slow answer or a broken line. The
 * same Content-Security-Policy as the server's: what it forbids fails here, too.
 */
import {readFile} from 'node:fs/promises';
import {createServer} from 'node:http';
import {extname, join, normalize} from 'node:path';
import {fileURLToPath} from 'node:url';
import {gzipSync} from 'node:zlib';

import {WebSocketServer} from 'ws';

import {Instance} from './instance.mjs';
import {World} from './world.mjs';

const TOP = fileURLToPath(new URL('../../../', import.meta.url));
const DYGRAPHS = '/usr/share/javascript/dygraphs/';
const ADMIN_PATH = '/admin.smq';
const TYPES = {'.html': 'text/html; charset=utf-8', '.css': 'text/css; charset=utf-8',
    '.js': 'text/javascript; charset=utf-8', '.mjs': 'text/javascript; charset=utf-8',
    '.svg': 'image/svg+xml'};
const CSP = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
    "connect-src 'self'; font-src 'self'; manifest-src 'self'; form-action 'self'; " +
    "base-uri 'none'; frame-ancestors 'none'";

class Mock {
    constructor({peers, topics, password = 'secret', manual = false}) {
        this.world = new World({peers, topics});
        this.password = password;
        this.isManual = manual; /* time goes by when tick() is called */
        this.sessions = new Set();
        this.sessionMs = 8 * 3600000;
        this.requests = []; /* "METHOD path", what was asked of the API */
        this.bytesSent = new Map(); /* path → bytes of the last answer, compressed */
        this.taps = new Set();
        this.actions = [];
        this.bans = [];
        this.admin = new Instance(ADMIN_PATH);
        this.devices = new Instance('/smq.lsp');
        this.devices.onDirect = (...what) => this.answer(...what);
        this.admin.onFirst = (name) => name === 'stats' && this.publishStats();
        this.http = createServer((request, response) => this.serve(request, response));
        this.sockets = new WebSocketServer({noServer: true});
        this.http.on('upgrade', (...what) => this.upgrade(...what));
        this.nameTopics();
    }

    nameTopics() {
        const names = ['/m2m/led/device', '/m2m/led/display', '/m2m/temp', 'alarm/fire', 'time'];

        for (let i = 0; names.length < this.world.topicsWanted; i++)
            names.push(`site/${1 + i % 12}/floor/${i % 5}/meter/${i}`);
        names.forEach((name, i) => {
            const topic = this.devices.topic(name);

            topic.others = i % 7 === 0 ? 240 : i % 4;
            topic.rate = i % 3 === 0 ? 0 : (names.length - i) * 0.25;
        });
    }

    async start(port = 0) {
        await new Promise((done) => this.http.listen(port, '127.0.0.1', done));
        this.url = `http://127.0.0.1:${this.http.address().port}/`;
        if (!this.isManual)
            this.timer = setInterval(() => this.tick(), 1000);
        return this;
    }

    async stop() {
        clearInterval(this.timer);
        this.cut();
        this.http.closeAllConnections();
        await new Promise((done) => this.http.close(done));
    }

    /* All WebSockets break. */
    cut() {
        this.sockets.clients.forEach((socket) => socket.terminate());
    }

    /* ---- a second ---- */

    tick() {
        const {joined, left} = this.world.tick();

        this.publishStats();
        if (this.admin.isWatched('peers'))
            this.admin.publish('peers', JSON.stringify({joined, left}));
        joined.slice(0, 2).forEach((row) => this.event('info', 'conn.accepted',
            `uid="${row.uid}" address=${row.address}:${row.port} transport=${row.transport}`));
        if (this.world.seconds % 9 === 4)
            this.event('warning', 'conn.slow', 'uid="meter-007919" queued_bytes=65024 policy=drop_new');
        if (this.world.seconds % 31 === 7)
            this.event('error', 'tls.failed', 'address=10.0.3.7:40012 reason="unknown CA"');
        this.devices.publish('/m2m/temp', Buffer.from([0, 214 + this.world.seconds % 9]));
        this.devices.publish('alarm/fire', JSON.stringify({zone: 3, smoke: 0.02, battery: 97,
            at: new Date().toISOString()}));
        this.devices.publish('time', new Date().toISOString());
        this.taps.forEach((id) => this.traffic(id));
    }

    publishStats() {
        if (this.admin.isWatched('stats'))
            this.admin.publish('stats', JSON.stringify(this.world.stats()));
    }

    event(level, name, text) {
        this.admin.publish('events', JSON.stringify({t: this.world.now(), level, name, text}));
    }

    traffic(id) {
        const topic = this.devices.topics.get('/m2m/temp');

        this.tapped(id, 'out', topic.tid, '/m2m/temp', Buffer.from([0, 217]));
        if (this.world.seconds % 3 === 0)
            this.tapped(id, 'in', this.devices.topic('alarm/fire').tid, 'alarm/fire',
                Buffer.from('{"zone":3,"smoke":0.02}'));
    }

    tapped(id, dir, tid, topic, data, stid = 0) {
        const row = this.world.rows.get(id);

        this.admin.publish('tap', JSON.stringify({id, t: this.world.now(), dir, tid,
            ptid: dir === 'in' ? row?.etid : 77, stid, topic, bytes: data.length,
            data: data.subarray(0, 1024).toString('base64')}));
    }

    /* A device got a message: it says it back. */
    answer(etid, from, stid, payload) {
        const row = this.world.byEtid.get(etid);

        if (!row)
            return;
        const text = Buffer.concat([Buffer.from('you said: '), payload]);

        this.devices.publish(from, text, {from: etid, stid});
        if (this.taps.has(row.id)) {
            this.tapped(row.id, 'out', etid, null, payload, stid);
            this.tapped(row.id, 'in', from, null, text, stid);
        }
    }

    /* ---- HTTP ---- */

    sessionOf(request) {
        const [, token] = /smqd=(\w+)/.exec(request.headers.cookie ?? '') ?? [];

        return this.sessions.has(token) ? token : undefined;
    }

    upgrade(request, socket, head) {
        const path = new URL(request.url, 'http://x').pathname;
        const instance = [this.admin, this.devices].find((each) => each.path === path);

        if (!instance || (instance === this.admin && !this.sessionOf(request)))
            return socket.end('HTTP/1.1 401 Unauthorized\r\n\r\n');
        return this.sockets.handleUpgrade(request, socket, head, (ws) => instance.attach(ws));
    }

    async serve(request, response) {
        const path = decodeURIComponent(new URL(request.url, 'http://x').pathname);
        let body = '';

        for await (const piece of request)
            body += piece;
        if (path.startsWith('/api/'))
            return this.serveApi(request, response, path.slice(5), body);
        return this.serveFile(response, path);
    }

    async serveFile(response, path) {
        const name = normalize(path.endsWith('/') ? `${path}index.html` : path)
            .replace(/^\/rtl\//, '/');
        const file = name.startsWith('/dygraph.') ? join(DYGRAPHS, name) : join(TOP, 'webui', name);

        try {
            const packed = gzipSync(await readFile(file), {level: 9});

            this.bytesSent.set(path, packed.length);
            response.writeHead(200, {'Content-Type': TYPES[extname(file)] ?? 'text/plain',
                'Content-Encoding': 'gzip', 'Content-Security-Policy': CSP,
                'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff'});
            response.end(packed);
        } catch {
            response.writeHead(404).end('there is no such page');
        }
    }

    serveApi(request, response, path, body) {
        const session = this.sessionOf(request);
        const reply = (code, value, headers = {}) => {
            response.writeHead(code, {'Content-Type': 'application/json', ...headers});
            response.end(JSON.stringify(value));
        };

        this.requests.push(`${request.method} ${path}`);
        if (request.method === 'POST' && (request.headers['x-smqd'] !== '1' ||
            request.headers['content-type'] !== 'application/json'))
            return reply(403, {error: 'this request does not come from the web UI'});
        if (path === 'login')
            return this.login(JSON.parse(body), reply);
        if (!session)
            return reply(401, {error: 'log in'});
        if (path === 'logout') {
            this.sessions.delete(session);
            return reply(200, {});
        }
        if (request.method === 'POST')
            return this.act(path, JSON.parse(body), reply);
        return this.read(new URL(request.url, 'http://x'), path, reply);
    }

    login({user, password}, reply) {
        if (this.lockedOut)
            return reply(429, {error: 'too many attempts'}, {'Retry-After': '3'});
        if (user !== 'admin' || password !== this.password)
            return reply(401, {error: 'this user and password do not match'});
        const token = `t${this.sessions.size}${process.hrtime.bigint()}`;

        this.sessions.add(token);
        return reply(200, this.session(), {'Set-Cookie': `smqd=${token}; HttpOnly; ` +
            'SameSite=Strict; Path=/'});
    }

    session() {
        return {user: 'admin', smq: ADMIN_PATH, instances: ['/smq.lsp'], version: '0.9.0',
            host: 'broker.example', session_ms: this.sessionMs};
    }

    act(path, body, reply) {
        if (path === 'bans/lift') {
            this.bans = this.bans.filter((ban) => ban.address !== body.address);
            return reply(200, body);
        }
        const [, id, action] = /^peers\/([^/]+)\/(\w+)$/.exec(path) ?? [];

        if (!this.world.rows.has(id))
            return reply(404, {error: 'this device is not connected any more'});
        this.actions.push({id, action, ...body});
        if (action === 'tap')
            this.taps[body.on ? 'add' : 'delete'](id);
        else {
            if (action === 'ban')
                this.bans.push({address: this.world.rows.get(id).address, seconds: body.seconds,
                    cause: 'by hand'});
            this.world.leave(id);
            this.admin.publish('peers', JSON.stringify({joined: [], left: [id]}));
        }
        return reply(200, {});
    }

    async read(url, path, reply) {
        const ids = url.searchParams.get('ids')?.split(',');
        const rows = ids ? ids.map((id) => this.world.rows.get(id)).filter(Boolean) :
            [...this.world.rows.values()];

        switch (path) {
        case 'session':
            return reply(200, this.session());
        case 'bans':
            return reply(200, {bans: this.bans});
        case 'stats':
            return reply(200, this.world.stats());
        case 'history':
            return reply(200, this.world.history());
        case 'peers':
            return reply(200, {peers: rows});
        case 'topics':
            return reply(200, {topics: this.topicRows()});
        case 'config':
            return reply(200, {text: await readFile(join(TOP, 'configs/default.conf'), 'utf8')});
        default:
            return reply(404, {error: 'there is no such thing in the API'});
        }
    }

    topicRows() {
        return [...this.devices.topics.values()].map((topic) => ({instance: this.devices.path,
            name: topic.name, tid: topic.tid,
            subscribers: topic.subscribers.size + topic.others, rate: topic.rate}));
    }
}

/**
 * @param {{peers?: number, topics?: number, password?: string, manual?: boolean, port?: number}}
 *     options  manual: a second goes by when tick() is called, not by the clock
 */
export function startMock(options = {}) {
    return new Mock(options).start(options.port);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
    const option = (name, otherwise) => {
        const at = process.argv.indexOf(`--${name}`);

        return at < 0 ? otherwise : Number(process.argv[at + 1]);
    };
    const mock = await startMock({port: option('port', 8090), peers: option('peers', 300),
        topics: option('topics', 60)});

    console.log(`${mock.url}  user admin, password secret`);
}
