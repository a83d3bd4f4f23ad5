/* The life of a connection: handshake, keep-alive, ends, and reconnecting. */
import assert from 'node:assert/strict';
import {afterEach, beforeEach, describe, it} from 'node:test';

import {Broker, Clock, ETID, SEED, SMQ, bytes, hush, spy, u32} from './fake.mjs';

let broker;
let clock;

beforeEach(() => {
    broker = new Broker();
    clock = new Clock();
});
afterEach(() => clock.restore());

describe('the handshake', () => {
    it('answers Init with Connect: version, uid, credentials, info', () => {
        const smq = broker.client({uid: 'my-uid', info: 'a page'});

        smq.onauth = () => 'secret';
        broker.init();
        return broker.settle().then(() => assert.deepEqual(broker.sentBytes(),
            [...bytes(2, 1, 6, 'my-uid', 6, 'secret', 'a page')]));
    });

    it('sends no credentials and no info when the page has none', () => {
        broker.client({uid: 'my-uid'});
        broker.init();
        assert.deepEqual(broker.sentBytes(), [...bytes(2, 1, 6, 'my-uid', 0)]);
    });

    it('takes uid, credentials and info as bytes, too', async () => {
        const smq = broker.client({uid: bytes(0, 1, 2, 3, 4, 255), info: bytes(9, 8)});

        smq.onauth = () => bytes(200, 201).buffer;
        broker.init();
        await broker.settle();
        assert.deepEqual(broker.sentBytes(), [2, 1, 6, 0, 1, 2, 3, 4, 255, 2, 200, 201, 9, 8]);
    });

    it('makes a uid that no other client has, and keeps it', () => {
        const uids = [1, 2].map(() => {
            broker.client({uid: undefined});
            broker.init();
            const connect = broker.sentBytes();
            return connect.slice(3, 3 + connect[2]).join();
        });
        assert.notEqual(uids[0], uids[1]);
    });

    it('refuses a uid that the broker would refuse', () => {
        assert.throws(() => broker.client({uid: 'short'}), RangeError);
        assert.throws(() => broker.client({uid: 'x'.repeat(256)}), RangeError);
        assert.equal(broker.sockets.length, 0);
    });

    it('tells onauth the seed and our address, and onconnect these and our etid', async () => {
        const smq = broker.client();

        smq.onauth = spy('secret');
        smq.onconnect = spy();
        broker.init('2001:db8::1', {seed: SEED});
        await broker.settle();
        assert.deepEqual(smq.onauth.calls, [[SEED, '2001:db8::1']]);
        assert.deepEqual(smq.onconnect.calls, []);
        assert.equal(smq.gettid(), undefined);
        broker.connack(0, ETID);
        assert.deepEqual(smq.onconnect.calls, [[ETID, SEED, '2001:db8::1']]);
        assert.equal(smq.gettid(), ETID);
    });

    it('waits for an onauth that returns a promise, as long as it takes', async () => {
        const smq = broker.client();
        let say;

        smq.onauth = () => new Promise((resolve) => say = resolve);
        broker.init();
        clock.advance(3600e3);
        assert.deepEqual(broker.sent(), []);
        say('late');
        await broker.settle();
        assert.deepEqual(broker.sentBytes(), [...bytes(2, 1, 6, 'tester', 4, 'late')]);
    });

    it('forgets the promised credentials when the connection has gone meanwhile', async () => {
        const smq = broker.client();
        const say = [];

        smq.onauth = () => new Promise((resolve) => say.push(resolve));
        smq.onclose = spy(1);
        broker.init();
        broker.lose();
        clock.advance(1);
        broker.init();
        say[0]('late');
        await broker.settle();
        assert.deepEqual(broker.sent(), []);
        say[1]('in time');
        await broker.settle();
        assert.deepEqual(broker.sentBytes(), [...bytes(2, 1, 6, 'tester', 7, 'in time')]);
        assert.equal(smq.onclose.calls.length, 1);
    });

    for (const [what, onauth] of [
        ['throws', () => { throw new Error('no'); }],
        ['rejects', () => Promise.reject(new Error('no'))],
        ['returns more than 255 bytes', () => 'x'.repeat(256)],
    ]) {
        it(`is over when onauth ${what}`, async (t) => {
            const errors = hush(t);
            const smq = broker.client();

            smq.onauth = onauth;
            smq.onclose = spy(1000);
            broker.init();
            await broker.settle();
            assert.deepEqual(smq.onclose.calls, [['no credentials', false, undefined]]);
            assert.equal(errors.length, 1);
            assert.equal(broker.socket.closedWith, 1000);
        });
    }

    it('does not speak with a broker of another version', () => {
        const smq = broker.client();

        smq.onclose = spy(1000);
        broker.init('', {version: 2});
        assert.deepEqual(smq.onclose.calls, [['the broker speaks version 2 of SMQ', false,
            undefined]]);
        assert.deepEqual(broker.sent(), []);
    });

    for (const [step, begin] of [
        ['Init', () => {}],
        ['Connack', () => broker.init()],
    ]) {
        it(`gives up waiting for ${step} after the time-out`, () => {
            const smq = broker.client({timeout: 7});

            smq.onclose = spy();
            begin();
            clock.advance(6999);
            assert.deepEqual(smq.onclose.calls, []);
            clock.advance(1);
            assert.deepEqual(smq.onclose.calls, [['the broker does not answer', true, undefined]]);
        });
    }
});

describe('the address', () => {
    it('is taken as it is, or with http for ws', () => {
        broker.client('wss://broker.example:8443/a/smq.lsp?x=1');
        assert.equal(broker.socket.url, 'wss://broker.example:8443/a/smq.lsp?x=1');
        broker.client('https://broker.example/smq.lsp');
        assert.equal(broker.socket.url, 'wss://broker.example/smq.lsp');
    });

    describe('in a page', () => {
        const at = (href) => globalThis.location = new URL(href);

        afterEach(() => delete globalThis.location);

        it('is the page itself when none is given', () => {
            at('http://host:8080/dir/page.html?q=1#part');
            assert.equal(SMQ.wsURL(), 'ws://host:8080/dir/page.html');
            const addresses = [];
            SMQ.Client({WebSocket: function (url) { addresses.push(url); }});
            assert.deepEqual(addresses, ['ws://host:8080/dir/page.html']);
        });

        it('is a path on the page\'s server, safe when the page is', () => {
            at('http://host:8080/dir/page.html');
            assert.equal(SMQ.wsURL('/a/b/c/'), 'ws://host:8080/a/b/c/');
            at('https://host/');
            assert.equal(SMQ.wsURL('/smq.lsp'), 'wss://host/smq.lsp');
        });

        it('may be relative to the page', () => {
            at('http://host/dir/page.html');
            assert.equal(SMQ.wsURL('smq.lsp'), 'ws://host/dir/smq.lsp');
            broker.client('/smq.lsp');
            assert.equal(broker.socket.url, 'ws://host/smq.lsp');
        });
    });

    it('that a browser refuses throws where the page asks for it', () => {
        broker.refusesSockets = true;
        assert.throws(() => broker.client(), /no sockets today/);
    });
});

describe('SMQ.Client', () => {
    it('works with and without new, and the same way', () => {
        const opt = {WebSocket: function () { this.close = () => {}; }};

        assert.ok(new SMQ.Client('ws://x/', opt) instanceof SMQ.Client);
        assert.ok(SMQ.Client('ws://x/', opt) instanceof SMQ.Client);
    });

    it('has methods that may be handed on', () => {
        const {publish, gettid, disconnect} = broker.client();

        broker.accept();
        publish('x', 5);
        assert.deepEqual(broker.sent(), [`Publish 5 from ${ETID} sub 0: x`]);
        assert.equal(gettid(), ETID);
        disconnect();
        assert.deepEqual(broker.sent(), ['Disconnect']);
    });

    it('says what is missing where there is no WebSocket', () => {
        const before = globalThis.WebSocket;

        globalThis.WebSocket = undefined;
        try {
            assert.equal(SMQ.websocket(), false);
            assert.throws(() => SMQ.Client('ws://x/'), /WebSocket/);
        } finally {
            globalThis.WebSocket = before;
        }
    });
});

describe('keep-alive', () => {
    it('answers Ping with Pong', () => {
        broker.client();
        broker.accept();
        broker.send(12);
        assert.deepEqual(broker.sent(), ['Pong']);
    });

    it('asks a silent broker, and is content with any answer', () => {
        const smq = broker.client({ping: 60, pong: 5});

        smq.onclose = spy();
        broker.accept();
        for (const answer of [() => broker.send(13), () => broker.publish(1, 2, 3, 'x')]) {
            clock.advance(60e3);
            assert.deepEqual(broker.sent(), ['Ping']);
            answer();
            clock.advance(5e3);
        }
        assert.deepEqual(smq.onclose.calls, []);
    });

    it('gives up a broker that does not answer, and offers to reconnect', () => {
        const smq = broker.client({ping: 60, pong: 5});

        smq.onclose = spy();
        broker.accept();
        clock.advance(60e3);
        assert.deepEqual(broker.sent(), ['Ping']);
        clock.advance(4999);
        assert.deepEqual(smq.onclose.calls, []);
        clock.advance(1);
        assert.deepEqual(smq.onclose.calls, [['the broker does not answer', true, undefined]]);
        assert.equal(broker.socket.closedWith, 1000);
    });

    it('does not ask while messages come', () => {
        broker.client({ping: 60, pong: 5});
        broker.accept();
        for (let i = 0; i < 10; i++) {
            broker.publish(1, 2, 0, 'x');
            clock.advance(59e3);
        }
        assert.deepEqual(broker.sent(), []);
    });

    it('can be turned off', () => {
        broker.client({ping: 0});
        broker.accept();
        assert.equal(clock.timers.size, 0);
    });
});

describe('the end of a connection', () => {
    it('is final when the broker refuses, and says why and with which code', () => {
        const smq = broker.client();

        smq.onclose = spy(10);
        broker.init();
        broker.connack(3, 0, 'wrong password');
        assert.deepEqual(smq.onclose.calls, [['wrong password', false, 3]]);
        assert.equal(broker.socket.closedWith, 1000);
        clock.advance(1e6);
        assert.equal(broker.sockets.length, 1);
    });

    it('is final when the broker refuses before we have credentials', () => {
        const smq = broker.client();

        smq.onauth = () => new Promise(() => {});
        smq.onclose = spy(10);
        broker.init();
        broker.connack(2, 0, 'too late');
        assert.deepEqual(smq.onclose.calls, [['too late', false, 2]]);
    });

    it('is final when the broker sends Disconnect', () => {
        const smq = broker.client();

        smq.onclose = spy(10);
        broker.accept();
        broker.disconnect('reconnect');
        assert.deepEqual(smq.onclose.calls, [['reconnect', false, undefined]]);
        broker.lose(); /* the close that follows is not news */
        clock.advance(1e6);
        assert.equal(smq.onclose.calls.length, 1);
        assert.equal(broker.sockets.length, 1);
    });

    it('offers to reconnect when the connection just closes', () => {
        const smq = broker.client();

        smq.onclose = spy();
        broker.accept();
        broker.lose();
        assert.deepEqual(smq.onclose.calls, [['the connection broke', true, undefined]]);
        assert.equal(smq.gettid(), undefined);
    });

    it('offers to reconnect when there never was one', () => {
        const smq = broker.client();

        smq.onclose = spy();
        broker.lose();
        assert.deepEqual(smq.onclose.calls, [['no connection', true, undefined]]);
    });

    it('is quiet when the page wants it: Disconnect, close, no onclose', () => {
        const smq = broker.client();

        smq.onclose = spy(10);
        broker.accept();
        smq.disconnect();
        assert.deepEqual(broker.sent(), ['Disconnect']);
        assert.equal(broker.socket.closedWith, 1000);
        smq.publish('x', 'y');
        smq.subscribe('y');
        smq.create('y', spy());
        smq.disconnect();
        clock.advance(1e6);
        assert.deepEqual(smq.onclose.calls, []);
        assert.equal(broker.sockets.length, 1);
    });

    it('may be wanted before the connection stands', () => {
        const smq = broker.client();

        smq.disconnect();
        assert.equal(broker.socket.closedWith, 1000);
        assert.deepEqual(broker.sent(), []);
    });

    it('survives an onclose that throws, and does not reconnect then', (t) => {
        const errors = hush(t);
        const smq = broker.client();

        smq.onclose = () => { throw new Error('in the page'); };
        broker.accept();
        broker.lose();
        clock.advance(1e6);
        assert.deepEqual(errors, ['Error: in the page']);
        assert.equal(broker.sockets.length, 1);
    });
});

describe('what is not SMQ ends the connection', () => {
    const open = () => {};
    const connecting = () => broker.init();
    const up = () => broker.accept();

    for (const [what, state, send] of [
        ['text', up, () => broker.sendRaw('hello')],
        ['an empty message', up, () => broker.send()],
        ['an unknown packet', up, () => broker.send(99)],
        ['packet 0', up, () => broker.send(0)],
        ['a packet only clients send', up, () => broker.send(4, 'x')],
        ['Init without a whole seed', open, () => broker.send(1, 1, 0, 0, 0)],
        ['a second Init', up, () => broker.init()],
        ['Connack before Connect', open, () => broker.connack()],
        ['Connack while the page thinks about its credentials', () => {
            broker.smq.onauth = () => new Promise(() => {});
            broker.init();
        }, () => broker.connack()],
        ['a short Connack', connecting, () => broker.send(3, 0, 0, 0)],
        ['Connack with an etid of 0', connecting, () => broker.connack(0, 0)],
        ['a message before Connack', connecting, () => broker.publish(1, 2, 3, '')],
        ['Publish without its three numbers', up, () => broker.send(8, u32(1), u32(2), 0, 0, 0)],
        ['Change that is too short', up, () => broker.send(16, u32(1), 0)],
        ['Change that is too long', up, () => broker.send(16, u32(1), u32(2), 0)],
        ['Ping with a body', up, () => broker.send(12, 0)],
        ['a short Suback', up, () => broker.send(5, 0, 0)],
        ['Suback for what nobody asked', up, () => broker.suback('x', 5)],
        ['Createack for what nobody asked', up, () => broker.createack('x', 5)],
        ['Createsuback for what nobody asked', up, () => broker.createsuback('x', 5)],
    ]) {
        it(what, () => {
            const smq = broker.client();

            smq.onclose = spy();
            smq.onmsg = spy();
            broker.smq = smq;
            state();
            send();
            assert.equal(smq.onclose.calls.length, 1);
            assert.match(smq.onclose.calls[0][0], /^protocol error: /);
            assert.equal(smq.onclose.calls[0][1], true);
            assert.equal(broker.socket.closedWith, 4002);
            assert.deepEqual(smq.onmsg.calls, []);
        });
    }

    for (const [what, ask, send] of [
        ['a tid of 0', (smq) => smq.subscribe('x'), () => broker.send(5, 0, u32(0), 'x')],
        ['a created tid of 0', (smq) => smq.create('x'), () => broker.send(7, 0, u32(0), 'x')],
        ['a sub-topic id of 0', (smq) => smq.createsub('x'), () => broker.send(18, 0, u32(0), 'x')],
        ['a second Createack', (smq) => {
            smq.create('x');
            broker.createack('x', 5);
        }, () => broker.createack('x', 5)],
        ['a second Suback', (smq) => {
            smq.subscribe('x');
            broker.suback('x', 5);
        }, () => broker.suback('x', 5)],
    ]) {
        it(what, () => {
            const smq = broker.client();

            smq.onclose = spy();
            broker.accept();
            ask(smq);
            send();
            assert.match(smq.onclose.calls[0][0], /^protocol error: /);
        });
    }
});

describe('reconnecting', () => {
    it('happens after the milliseconds that onclose returns', () => {
        const smq = broker.client();

        smq.onclose = spy(3000);
        broker.accept();
        broker.lose();
        clock.advance(2999);
        assert.equal(broker.sockets.length, 1);
        clock.advance(1);
        assert.equal(broker.sockets.length, 2);
    });

    it('does not happen when onclose returns no number, or is missing', () => {
        for (const onclose of [undefined, spy(), spy(true), spy('3000')]) {
            const smq = broker.client();

            smq.onclose = onclose;
            broker.accept();
            broker.lose();
        }
        clock.advance(1e6);
        assert.equal(broker.sockets.length, 4);
    });

    it('is tried again for as long as onclose wants it', () => {
        const smq = broker.client();

        smq.onclose = spy(1);
        for (let i = 1; i <= 5; i++) {
            assert.equal(broker.sockets.length, i);
            broker.lose();
            clock.advance(1);
        }
        assert.equal(smq.onclose.calls.length, 5);
    });

    it('comes back as the same uid, and calls onreconnect with the new etid', () => {
        const smq = broker.client({uid: undefined});

        smq.onclose = spy(1);
        smq.onconnect = spy();
        smq.onreconnect = spy();
        broker.init();
        const first = broker.sentBytes();
        broker.connack(0, 5);
        broker.lose();
        clock.advance(1);
        broker.init();
        assert.deepEqual(broker.sentBytes(), first);
        broker.connack(0, 6);
        assert.deepEqual(smq.onconnect.calls, [[5, SEED, '192.0.2.7']]);
        assert.deepEqual(smq.onreconnect.calls, [[6, SEED, '192.0.2.7']]);
        assert.equal(smq.gettid(), 6);
    });

    it('does not call onconnect again: what a page does there, it does once', () => {
        const smq = broker.client();

        smq.onclose = spy(1);
        smq.onconnect = spy();
        broker.accept();
        broker.lose();
        clock.advance(1);
        broker.accept();
        assert.equal(smq.onconnect.calls.length, 1);
        assert.equal(smq.gettid(), ETID);
    });

    it('calls onconnect when only the first attempts failed', () => {
        const smq = broker.client();

        smq.onclose = spy(1);
        smq.onconnect = spy();
        smq.onreconnect = spy();
        broker.lose();
        clock.advance(1);
        broker.accept();
        assert.equal(smq.onconnect.calls.length, 1);
        assert.equal(smq.onreconnect.calls.length, 0);
    });

    it('asks onclose again when the browser refuses to make a socket', () => {
        const smq = broker.client();

        smq.onclose = spy(1);
        broker.accept();
        broker.lose();
        broker.refusesSockets = true;
        clock.advance(1);
        assert.deepEqual(smq.onclose.calls[1], ['no sockets today', true, undefined]);
        broker.refusesSockets = false;
        clock.advance(1);
        assert.equal(broker.sockets.length, 2);
    });

    it('can be called off by disconnect()', () => {
        const smq = broker.client();

        smq.onclose = spy(1000);
        broker.accept();
        broker.lose();
        smq.disconnect();
        clock.advance(1e6);
        assert.equal(broker.sockets.length, 1);
    });

    it('can be called off within onclose, too', () => {
        const smq = broker.client();

        smq.onclose = () => {
            smq.disconnect();
            return 1000;
        };
        broker.accept();
        broker.lose();
        clock.advance(1e6);
        assert.equal(broker.sockets.length, 1);
    });

    it('does not listen to the connection that was', () => {
        const smq = broker.client();

        smq.onclose = spy(1);
        smq.onmsg = spy();
        broker.accept();
        const [old] = broker.sockets;
        const {onmessage} = old;
        broker.lose();
        clock.advance(1);
        broker.accept();
        assert.equal(old.onmessage, null);
        assert.notEqual(broker.socket.onmessage, onmessage);
        assert.equal(smq.onclose.calls.length, 1);
    });
});
