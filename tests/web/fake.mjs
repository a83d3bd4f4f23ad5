/*
 * tests/web/fake.mjs — a broker's end of a WebSocket, in this process and without a clock.
 *
 *      const broker = new Broker();
 *      const smq = broker.client({uid: 'tester'});
 *      broker.accept();                       Init, and Connack for the Connect that comes
 *      smq.subscribe('chat');
 *      broker.sent()                          ['Subscribe chat'], and forgets it
 *      broker.suback('chat', 10);
 *
 * All is synchronous: a packet the broker sends has been taken when the call returns, but for
 * what smq.js itself leaves to the next microtask (await broker.settle()).
 */
import assert from 'node:assert/strict';
import {webcrypto} from 'node:crypto';

globalThis.crypto ??= webcrypto; /* Node 18 */

const {default: SMQ} = await import('../../webui/smq.mjs');

export {SMQ};
export const ETID = 77;
export const SEED = 0xfedcba98;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

const PACKETS = {
    2: 'Connect', 4: 'Subscribe', 6: 'Create', 8: 'Publish', 9: 'Unsubscribe', 11: 'Disconnect',
    12: 'Ping', 13: 'Pong', 14: 'Observe', 15: 'Unobserve', 17: 'Createsub',
};

export function bytes(...parts) {
    return Uint8Array.from(parts.flatMap((part) => {
        if (typeof part === 'string')
            return [...encoder.encode(part)];
        return typeof part === 'number' ? [part] : [...part];
    }));
}

export function u32(number) {
    return [number >>> 24, number >>> 16 & 255, number >>> 8 & 255, number & 255];
}

/* A packet as a line of text, so that a test can compare a whole conversation. */
function describe(packet) {
    const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
    const name = PACKETS[packet[0]] ?? `packet ${packet[0]}`;
    const number = (at) => view.getUint32(at);

    switch (name) {
    case 'Publish':
        return `${name} ${number(1)} from ${number(5)} sub ${number(9)}: ` +
            decoder.decode(packet.subarray(13));
    case 'Unsubscribe':
    case 'Observe':
    case 'Unobserve':
        assert.equal(packet.length, 5, `${name} is 5 bytes`);
        return `${name} ${number(1)}`;
    case 'Connect':
        return name;
    default:
        return [name, decoder.decode(packet.subarray(1))].join(' ').trim();
    }
}

/* One connection; the interface a browser's WebSocket has, as far as smq.js uses it. */
class Socket {
    constructor(broker, url) {
        this.broker = broker;
        this.url = url;
        this.packets = [];
        this.closedWith = undefined; /* the code, once the client has closed it */
    }

    send(packet) {
        assert.equal(this.closedWith, undefined, 'nothing is sent after close()');
        this.packets.push(Uint8Array.from(packet));
    }

    close(code) {
        assert.ok(code === 1000 || (code >= 3000 && code < 5000), 'a code a browser lets us use');
        this.closedWith = code;
    }
}

export class Broker {
    constructor() {
        this.sockets = []; /* all there ever were */
    }

    client(...args) {
        const broker = this;
        const opt = typeof args.at(-1) === 'object' ? args.pop() : {};

        return SMQ.Client(args[0] ?? 'ws://broker.example/smq.lsp', {
            WebSocket: function WebSocket(url) {
                if (broker.refusesSockets)
                    throw new Error('no sockets today');
                broker.sockets.push(new Socket(broker, url));
                return broker.socket;
            },
            uid: 'tester',
            ...opt,
        });
    }

    get socket() {
        return this.sockets.at(-1);
    }

    sent() {
        return this.socket.packets.splice(0).map(describe);
    }

    /* The bytes of the only packet that was sent. */
    sentBytes() {
        assert.equal(this.socket.packets.length, 1);
        return [...this.socket.packets.pop()];
    }

    send(...parts) {
        const {buffer} = bytes(...parts);

        assert.equal(this.socket.binaryType, 'arraybuffer');
        this.sendRaw(buffer);
    }

    sendRaw(data) {
        this.socket.onmessage?.({data});
    }

    init(ip = '192.0.2.7', {version = 1, seed = SEED} = {}) {
        this.send(1, version, u32(seed), ip);
    }

    connack(code = 0, etid = ETID, reason = '') {
        this.send(3, code, u32(etid), reason);
    }

    accept(etid = ETID) {
        this.init();
        assert.deepEqual(this.sent(), ['Connect']);
        this.connack(0, etid);
    }

    suback(name, tid) {
        this.send(5, tid ? 0 : 1, u32(tid), name);
    }

    createack(name, tid) {
        this.send(7, tid ? 0 : 1, u32(tid), name);
    }

    createsuback(name, subtid) {
        this.send(18, subtid ? 0 : 1, u32(subtid), name);
    }

    publish(tid, ptid, subtid, payload) {
        this.send(8, u32(tid), u32(ptid), u32(subtid), payload);
    }

    change(id, subscribers) {
        this.send(16, u32(id), u32(subscribers));
    }

    disconnect(reason = '') {
        this.send(11, reason);
    }

    /* The connection breaks, as the browser reports it. */
    lose(reason = '') {
        const {socket} = this;

        socket.onerror({}); /* Node's ws throws when nobody listens */
        socket.onclose?.({code: 1006, reason, wasClean: false});
    }

    settle() {
        return new Promise((resolve) => setImmediate(resolve));
    }
}

/* Timers that a test moves by hand. */
export class Clock {
    constructor() {
        this.real = [globalThis.setTimeout, globalThis.clearTimeout];
        this.now = 0;
        this.timers = new Map();
        this.next = 1;
        globalThis.setTimeout = (what, ms) => {
            this.timers.set(this.next, {at: this.now + ms, what});
            return this.next++;
        };
        globalThis.clearTimeout = (id) => this.timers.delete(id);
    }

    advance(ms) {
        const end = this.now + ms;

        for (;;) {
            const due = [...this.timers].filter(([, timer]) => timer.at <= end)
                .sort(([, a], [, b]) => a.at - b.at)[0];

            if (!due)
                break;
            this.timers.delete(due[0]);
            this.now = due[1].at;
            due[1].what();
        }
        this.now = end;
    }

    restore() {
        [globalThis.setTimeout, globalThis.clearTimeout] = this.real;
    }
}

/* A callback that remembers what it was called with. */
export function spy(result) {
    const calls = [];
    const callback = (...values) => {
        calls.push(values);
        return result;
    };

    callback.calls = calls;
    callback.take = () => calls.splice(0);
    return callback;
}

/* console.warn and reported errors of one test, so that it can look at them and they do not
 * litter the output. */
export function hush(t) {
    const lines = [];
    const before = [console.warn, console.error, globalThis.reportError];

    console.warn = console.error = (...words) => lines.push(words.join(' '));
    globalThis.reportError = (error) => lines.push(String(error));
    t.after(() => {
        [console.warn, console.error] = before;
        if (before[2])
            globalThis.reportError = before[2];
        else
            delete globalThis.reportError;
    });
    return lines;
}
