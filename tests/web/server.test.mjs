/*
 * smq.js against the real smqd, over ws://. The server is $SMQD, else build/smqd.
 *
 * No sleeps: a test waits for what has to come, and a hang ends with the time-out of its own.
 */
import assert from 'node:assert/strict';
import {spawn} from 'node:child_process';
import {existsSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {after, afterEach, before, describe, it} from 'node:test';
import {fileURLToPath} from 'node:url';

import {SMQ, bytes} from './fake.mjs';

const TOP = fileURLToPath(new URL('../../', import.meta.url));
const SMQD = process.env.SMQD ?? join(TOP, 'build/smqd');
const SMQ_TOOL = process.env.SMQ ?? join(TOP, 'build/smq');
const HANG = {timeout: 120000}; /* even where the machine is busy */

/* Node's own WebSocket, or that of npm's ws. */
async function findWebSocket() {
    try {
        return globalThis.WebSocket ?? (await import('ws')).WebSocket;
    } catch (error) {
        return undefined;
    }
}

const WebSocket = await findWebSocket();
const skip = !WebSocket ? 'no WebSocket: npm ci in tests/web' :
    !existsSync(SMQD) && `${SMQD} is not there`;

/* Values that come one by one, for await next(). */
class Queue {
    constructor() {
        this.values = [];
        this.waiting = [];
        this.push = (...value) => {
            this.values.push(value);
            this.serve();
        };
    }

    serve() {
        while (this.values.length > 0 && this.waiting.length > 0)
            this.waiting.shift()(this.values.shift());
    }

    next() {
        return new Promise((resolve) => {
            this.waiting.push(resolve);
            this.serve();
        });
    }
}

class Server {
    /* @config: the text of a configuration; {data} in it is the data directory. */
    constructor(config = '') {
        this.data = mkdtempSync(join(tmpdir(), 'smqweb-'));
        this.config = join(this.data, 'smqd.conf');
        writeFileSync(this.config, config.replaceAll('{data}', this.data));
        this.address = '127.0.0.1:0';
    }

    /* Again on the same port, when it is not the first time. */
    async start() {
        this.process = spawn(SMQD, ['--config', this.config, '--listen', `tcp://${this.address}`,
            '--set', `data_dir=${this.data}`], {stdio: ['ignore', 'pipe', 'inherit']});
        this.ended = new Promise((resolve) => this.process.on('exit', resolve));
        let text = '';
        for await (const part of this.process.stdout) {
            text += part;
            const ready = /ready tcp:\/\/(\S+)/.exec(text);
            if (ready) {
                this.address = ready[1];
                return;
            }
        }
        throw new Error(`smqd did not become ready: ${text}`);
    }

    async stop() {
        this.process.kill('SIGTERM');
        const code = await this.ended;

        assert.equal(code, 0, `smqd ended with ${code}, not 0`);
    }
}

describe('smqd', {skip}, () => {
    const server = new Server();
    const clients = [];

    before(() => server.start());
    afterEach(() => clients.splice(0).forEach((each) => each.disconnect()));
    after(async () => {
        await server.stop();
        rmSync(server.data, {recursive: true});
    });

    function client(opt = {}) {
        const smq = SMQ.Client(`ws://${server.address}/smq.lsp`, {WebSocket, ...opt});

        clients.push(smq);
        smq.connected = new Promise((resolve) => smq.onconnect = (...values) => resolve(values));
        return smq;
    }

    /* All that @smq was asked for before has been done. */
    function done(smq) {
        return new Promise((resolve) => smq.subscribe('barrier', {onack: resolve}));
    }

    it('lets us in, and says our address', HANG, async () => {
        const smq = client();
        const [etid, seed, ip] = await smq.connected;

        assert.ok(etid > 1 && etid === smq.gettid());
        assert.ok(Number.isInteger(seed));
        assert.equal(ip, '127.0.0.1');
    });

    it('carries messages of every kind, to those who subscribe', HANG, async () => {
        const [alice, bob] = [client(), client()];
        const got = new Queue();

        bob.subscribe('news', 'text', {datatype: 'text', onmsg: got.push});
        bob.subscribe('news', 'json', {datatype: 'json', onmsg: got.push});
        bob.subscribe('news', {onmsg: got.push});
        await done(bob);
        await alice.connected;
        alice.publish('grüße', 'news', 'text');
        alice.pubjson({a: 1}, 'news', 'json');
        alice.publish(Uint8Array.of(0, 255), 'news');
        const tid = bob.topic2tid('news');
        assert.deepEqual(await got.next(),
            ['grüße', alice.gettid(), tid, bob.subtopic2tid('text')]);
        assert.deepEqual(await got.next(),
            [{a: 1}, alice.gettid(), tid, bob.subtopic2tid('json')]);
        assert.deepEqual(await got.next(), [bytes(0, 255), alice.gettid(), tid, 0]);
    });

    it('carries the largest message, and many in their order', HANG, async () => {
        const [alice, bob] = [client(), client()];
        const got = new Queue();

        bob.subscribe('load', {onmsg: got.push});
        await done(bob);
        alice.publish(new Uint8Array(65520).fill(7), 'load');
        for (let i = 0; i < 1000; i++)
            alice.publish(String(i), 'load');
        const [[largest]] = [await got.next()];
        assert.equal(largest.length, 65520);
        assert.ok(largest.every((byte) => byte === 7));
        for (let i = 0; i < 1000; i++)
            assert.equal(SMQ.utf8.decode((await got.next())[0]), String(i));
    });

    it('carries a question and its answer', HANG, async () => {
        const [asker, answerer] = [client(), client()];
        const got = new Queue();

        answerer.subscribe('service', 'time', {
            onmsg: (_, ptid) => answerer.publish('noon', ptid, 'answer'),
        });
        await done(answerer);
        asker.subscribe('self', 'answer', {datatype: 'text', onmsg: got.push});
        asker.publish('?', 'service', 'time');
        assert.deepEqual((await got.next()).slice(0, 2), ['noon', answerer.gettid()]);
    });

    it('tells who subscribes, and who goes', HANG, async () => {
        const [watcher, guest] = [client(), client()];
        const changes = new Queue();

        watcher.observe('room', changes.push);
        assert.deepEqual(await changes.next(), [0, 'room']);
        guest.subscribe('room');
        assert.deepEqual(await changes.next(), [1, 'room']);
        watcher.observe(guest.gettid(), changes.push);
        await done(watcher);
        const etid = guest.gettid();
        guest.disconnect();
        const gone = [await changes.next(), await changes.next()];
        assert.deepEqual(gone.sort(), [[0, etid], [0, 'room']].sort());
    });

    it('denies an empty name', HANG, async () => {
        const smq = client();
        const got = new Queue();
        const {warn} = console;

        console.warn = () => {};
        smq.create('', got.push);
        assert.deepEqual((await got.next()).slice(0, 2), [false, '']);
        console.warn = warn;
    });

    it('gives our place to a second one of the same uid, and we do not fight for it', HANG,
        async () => {
            const first = client({uid: 'the same'});
            const closed = new Queue();

            first.onclose = closed.push;
            const [etid] = await first.connected;
            const second = client({uid: 'the same'});
            assert.equal((await second.connected)[0], etid);
            assert.deepEqual((await closed.next()).slice(0, 2), ['reconnect', false]);
        });

    it('refuses a path without a broker: no connection', HANG, async () => {
        const closed = new Queue();
        const smq = SMQ.Client(`ws://${server.address}/nothing.lsp`, {WebSocket});

        smq.onclose = closed.push;
        assert.deepEqual((await closed.next()).slice(0, 2), ['no connection', true]);
    });

    it('answers our Ping', HANG, async () => {
        const smq = client({ping: 0.01, pong: 20});
        const closed = new Queue();

        smq.onclose = closed.push;
        await smq.connected;
        for (let i = 0; i < 3; i++)
            await done(smq);
        assert.deepEqual(closed.values, []);
    });

    it('finds us again after a restart, with all we had', HANG, async () => {
        const [alice, bob] = [client(), client()];
        const [got, closed, changes] = [new Queue(), new Queue(), new Queue()];
        const again = new Queue();

        for (const smq of [alice, bob]) {
            smq.onclose = (...values) => {
                closed.push(...values);
                return 20;
            };
            smq.onreconnect = again.push;
        }
        bob.subscribe('survivor', 'late', {datatype: 'text', onmsg: got.push});
        await done(bob);
        alice.observe('survivor', changes.push);
        assert.deepEqual(await changes.next(), [1, 'survivor']);
        await server.stop();
        assert.equal((await closed.next())[1], true);
        alice.publish('from the queue', 'survivor', 'late');
        await server.start();
        await Promise.all([again.next(), again.next()]);
        /* Alice may be faster than Bob, who then hears nothing; the observer knows. */
        for (let count = 0; count !== 1;)
            [count] = await changes.next();
        alice.publish('live', 'survivor', 'late');
        for (let text = ''; text !== 'live';)
            [text] = await got.next();
    });

    it('brings LED devices to a page, and its orders to them', HANG, async (t) => {
        if (!existsSync(SMQ_TOOL))
            return t.skip(`${SMQ_TOOL} is not there`);
        const page = client();
        const [devices, switched, gone] = [new Queue(), new Queue(), new Queue()];

        page.subscribe('/m2m/led/device', 'devinfo', {datatype: 'json', onmsg: devices.push});
        page.subscribe('/m2m/led/device', 'led', {onmsg: switched.push});
        await done(page);
        const demo = spawn(SMQ_TOOL, ['demo', 'led', '--name', 'Lamp',
            '--url', `tcp://${server.address}/smq.lsp`], {stdio: 'ignore'});
        const [info, etid] = await devices.next();
        assert.equal(info.devname, 'Lamp');
        page.observe(etid, gone.push);
        page.publish(Uint8Array.of(2, 1), etid);
        assert.deepEqual((await switched.next()).slice(0, 2), [bytes(2, 1), etid]);
        demo.kill('SIGTERM');
        assert.deepEqual(await gone.next(), [0, etid]);
        return undefined;
    });
});

describe('smqd that asks for a key', {skip}, () => {
    const KEY = '0123456789abcdef0123456789abcdef';
    const server = new Server('instance "/smq.lsp" { auth = {"key"} keys = "{data}/keys" }');

    before(() => {
        writeFileSync(join(server.data, 'keys'), `pump-* ${KEY}\n`, {mode: 0o600});
        return server.start();
    });
    after(async () => {
        await server.stop();
        rmSync(server.data, {recursive: true});
    });

    function knock(uid, key) {
        const smq = SMQ.Client(`ws://${server.address}/smq.lsp`, {WebSocket, uid});

        smq.onauth = SMQ.sharedKey(uid, key);
        return new Promise((resolve) => {
            smq.onconnect = () => resolve('connected');
            smq.onclose = (text, canReconnect, code) => resolve(code);
        }).finally(() => smq.disconnect());
    }

    it('lets in who knows it, and nobody else', HANG, async () => {
        assert.equal(await knock('pump-1', KEY), 'connected');
        assert.equal(await knock('pümp-ü', KEY), 3);
        assert.equal(await knock('pump-ü', KEY), 'connected');
        assert.equal(await knock('pump-1', KEY.replace('0', 'f')), 3);
        assert.equal(await knock('lamp-1', KEY), 3);
    });
});
