/* Topics, sub-topics, messages, observers, and what becomes of them over a reconnect. */
import assert from 'node:assert/strict';
import {afterEach, beforeEach, describe, it} from 'node:test';

import {Broker, Clock, ETID, SMQ, bytes, hush, spy} from './fake.mjs';

let broker;
let clock;
let smq;

/* A client that is connected, unless the test wants to see what is before that. */
function connect(opt) {
    smq = broker.client(opt ?? {});
    broker.accept();
}

function reconnect(etid = ETID) {
    smq.onclose ??= () => 1;
    broker.lose();
    clock.advance(1);
    broker.accept(etid);
}

beforeEach(() => {
    broker = new Broker();
    clock = new Clock();
});
afterEach(() => clock.restore());

describe('publish', () => {
    beforeEach(() => connect());

    it('to a number goes at once, with our etid', () => {
        smq.publish('on', 0xffffffff);
        assert.deepEqual(broker.sentBytes(),
            [...bytes(8, 255, 255, 255, 255, 0, 0, 0, ETID, 0, 0, 0, 0, 'on')]);
    });

    it('to a number with a number as sub-topic', () => {
        smq.publish('on', 5, 9);
        assert.deepEqual(broker.sent(), [`Publish 5 from ${ETID} sub 9: on`]);
    });

    it('to a name asks for its number first, once', () => {
        smq.publish('a', 'chat');
        smq.publish('b', 'chat');
        assert.deepEqual(broker.sent(), ['Create chat']);
        broker.createack('chat', 5);
        smq.publish('c', 'chat');
        assert.deepEqual(broker.sent(), ['a', 'b', 'c'].map((x) =>
            `Publish 5 from ${ETID} sub 0: ${x}`));
    });

    it('asks for all names at once, and waits for all, in any order', () => {
        smq.publish('a', 'chat', 'hello');
        assert.deepEqual(broker.sent(), ['Create chat', 'Createsub hello']);
        broker.createsuback('hello', 9);
        assert.deepEqual(broker.sent(), []);
        broker.createack('chat', 5);
        assert.deepEqual(broker.sent(), [`Publish 5 from ${ETID} sub 9: a`]);
    });

    it('keeps the order of the calls, whatever is known first', () => {
        smq.publish('1', 'slow');
        smq.publish('2', 'quick');
        smq.publish('3', 5);
        assert.deepEqual(broker.sent(), ['Create slow', 'Create quick']);
        broker.createack('quick', 6);
        assert.deepEqual(broker.sent(), []);
        broker.createack('slow', 7);
        assert.deepEqual(broker.sent(), [7, 6, 5].map((to, i) =>
            `Publish ${to} from ${ETID} sub 0: ${i + 1}`));
    });

    it('to "self" goes to our own address', () => {
        smq.publish('x', 'self');
        assert.deepEqual(broker.sent(), [`Publish ${ETID} from ${ETID} sub 0: x`]);
    });

    it('takes text as UTF-8, buffers, views of buffers, arrays, numbers, nothing', () => {
        const room = bytes(1, 2, 3, 4);

        for (const [data, payload] of [
            ['grüße', [...new TextEncoder().encode('grüße')]],
            ['', []],
            [room, [1, 2, 3, 4]],
            [room.buffer, [1, 2, 3, 4]],
            [room.subarray(1, 3), [2, 3]],
            [new DataView(room.buffer, 2), [3, 4]],
            [new Uint16Array(room.buffer, 2), [3, 4]],
            [[7, 8], [7, 8]],
            [21.5, [...new TextEncoder().encode('21.5')]],
            [undefined, []],
            [null, []],
        ]) {
            smq.publish(data, 5);
            assert.deepEqual(broker.sentBytes().slice(13), payload);
        }
    });

    it('takes the bytes as they are at the call', () => {
        const data = bytes(1, 2);

        smq.publish(data, 'chat');
        data.fill(0);
        broker.sent();
        broker.createack('chat', 5);
        assert.deepEqual(broker.sentBytes().slice(13), [1, 2]);
    });

    it('refuses objects, which pubjson() is for', () => {
        assert.throws(() => smq.publish({a: 1}, 5), TypeError);
        smq.pubjson({a: [1, 'ü']}, 5, 6);
        assert.deepEqual(broker.sent(), [`Publish 5 from ${ETID} sub 6: {"a":[1,"ü"]}`]);
    });

    it('takes 65520 bytes and not one more', () => {
        smq.publish(new Uint8Array(65520), 5);
        assert.equal(broker.sentBytes().length, 13 + 65520);
        assert.throws(() => smq.publish(new Uint8Array(65521), 5), RangeError);
    });

    it('to no topic, which a page may not know yet, is dropped with a warning', (t) => {
        const warnings = hush(t);

        smq.publish('x', undefined);
        smq.pubjson({}, null);
        smq.publish('x', 0);
        smq.publish('x', NaN);
        assert.equal(warnings.length, 4);
        smq.publish('y', 5);
        assert.deepEqual(broker.sent(), [`Publish 5 from ${ETID} sub 0: y`]);
    });

    it('to a denied name is dropped with one warning, and nothing waits behind it', (t) => {
        const warnings = hush(t);

        smq.publish('a', 'secret');
        smq.publish('b', 'secret');
        smq.publish('c', 5);
        broker.sent();
        broker.createack('secret', 0);
        assert.deepEqual(broker.sent(), [`Publish 5 from ${ETID} sub 0: c`]);
        assert.deepEqual(warnings, ['SMQ: the broker denies us secret']);
    });

    it('asks again after a denial: rights may change', (t) => {
        hush(t);
        smq.publish('a', 'secret');
        broker.createack('secret', 0);
        broker.sent();
        smq.publish('b', 'secret');
        assert.deepEqual(broker.sent(), ['Create secret']);
    });

    it('with a denied sub-topic is dropped', (t) => {
        hush(t);
        smq.publish('a', 5, 'secret');
        broker.createsuback('secret', 0);
        assert.deepEqual(broker.sent(), ['Createsub secret']);
    });
});

describe('before the connection', () => {
    beforeEach(() => smq = broker.client());

    it('all calls wait, and are done in their order', () => {
        smq.publish('1', 'chat');
        smq.subscribe('chat');
        smq.observe('chat', spy());
        smq.publish('2', 'chat');
        smq.unsubscribe('chat');
        broker.accept();
        assert.deepEqual(broker.sent(), ['Create chat']);
        broker.createack('chat', 5);
        assert.deepEqual(broker.sent(), [`Publish 5 from ${ETID} sub 0: 1`, 'Subscribe chat',
            'Observe 5', `Publish 5 from ${ETID} sub 0: 2`]);
        broker.suback('chat', 5);
        assert.deepEqual(broker.sent(), ['Unsubscribe 5']);
    });

    it('a page that subscribes and says hello is through in two round trips', () => {
        smq.subscribe('/m2m/led/device', 'devinfo', {datatype: 'json', onmsg: spy()});
        smq.subscribe('self', 'devinfo', {datatype: 'json', onmsg: spy()});
        smq.subscribe('/m2m/led/device', 'led', {onmsg: spy()});
        smq.subscribe('/m2m/temp', {onmsg: spy()});
        smq.publish('Hello', '/m2m/led/display');
        broker.accept();
        assert.deepEqual(broker.sent().sort(),
            ['Create /m2m/led/display', 'Createsub devinfo', 'Createsub led']);
        broker.createack('/m2m/led/display', 5);
        broker.createsuback('devinfo', 6);
        broker.createsuback('led', 7);
        assert.deepEqual(broker.sent(), ['Subscribe /m2m/led/device', 'Subscribe /m2m/temp',
            `Publish 5 from ${ETID} sub 0: Hello`]);
    });

    it('onack waits, too', () => {
        const onack = spy();

        smq.create('chat', onack);
        broker.accept();
        assert.deepEqual(onack.calls, []);
        broker.createack('chat', 5);
        assert.deepEqual(onack.calls, [[true, 'chat', 5]]);
    });

    it('as many messages wait as the option says, then the oldest goes', (t) => {
        const warnings = hush(t);

        smq = broker.client({queue: 3});
        smq.subscribe('chat');
        for (const text of ['1', '2', '3', '4'])
            smq.publish(text, 5);
        assert.equal(warnings.length, 2);
        broker.accept();
        broker.suback('chat', 6);
        assert.deepEqual(broker.sent(), ['Subscribe chat', `Publish 5 from ${ETID} sub 0: 3`,
            `Publish 5 from ${ETID} sub 0: 4`]);
    });

    it('what a failed first attempt left waiting is kept, with cleanstart as well', () => {
        smq = broker.client({cleanstart: true});
        smq.onclose = spy(1);
        smq.subscribe('chat');
        broker.lose();
        clock.advance(1);
        broker.accept();
        assert.deepEqual(broker.sent(), ['Subscribe chat']);
    });
});

describe('subscribe', () => {
    beforeEach(() => connect());

    it('hands messages to onmsg, with the publisher, the topic and the sub-topic', () => {
        const onmsg = spy();

        smq.subscribe('chat', {onmsg});
        assert.deepEqual(broker.sent(), ['Subscribe chat']);
        broker.suback('chat', 5);
        broker.publish(5, 33, 0, bytes(1, 2));
        broker.publish(5, 33, 9, bytes(3));
        assert.deepEqual(onmsg.calls, [[bytes(1, 2), 33, 5, 0], [bytes(3), 33, 5, 9]]);
    });

    it('gives bytes as a Uint8Array whose buffer holds nothing else', () => {
        const onmsg = spy();

        smq.subscribe('chat', {onmsg, datatype: 'bin'});
        broker.suback('chat', 5);
        broker.publish(5, 33, 0, bytes(1, 2));
        const [[data]] = onmsg.calls;
        assert.equal(Object.getPrototypeOf(data), Uint8Array.prototype);
        assert.deepEqual([...new Uint8Array(data.buffer)], [1, 2]);
    });

    it('decodes text and JSON when the page says so', () => {
        const text = spy();
        const json = spy();

        smq.subscribe('text', {onmsg: text, datatype: 'text'});
        smq.subscribe('json', {onmsg: json, datatype: 'json'});
        broker.suback('text', 5);
        broker.suback('json', 6);
        broker.publish(5, 33, 0, '\ufeffgrüße');
        broker.publish(5, 33, 0, '');
        broker.publish(6, 33, 0, '{"a":[1,null]}');
        broker.publish(6, 33, 0, '0');
        assert.deepEqual(text.calls.map(([value]) => value), ['\ufeffgrüße', '']);
        assert.deepEqual(json.calls.map(([value]) => value), [{a: [1, null]}, 0]);
    });

    it('gives what is not JSON to the client\'s onmsg, raw', () => {
        const onmsg = spy();

        smq.onmsg = spy();
        smq.subscribe('json', {onmsg, datatype: 'json'});
        broker.suback('json', 6);
        broker.publish(6, 33, 4, '{');
        assert.deepEqual(onmsg.calls, []);
        assert.deepEqual(smq.onmsg.calls, [[bytes('{'), 33, 6, 4]]);
    });

    it('prefers the handler of the sub-topic, then that of the topic, then the client\'s', () => {
        const hello = spy();
        const number = spy();
        const any = spy();

        smq.onmsg = spy();
        smq.subscribe('chat', 'hello', {onmsg: hello});
        smq.subscribe('chat', 3, {onmsg: number});
        smq.subscribe('chat', {onmsg: any});
        smq.subscribe('quiet');
        broker.createsuback('hello', 9);
        broker.suback('chat', 5);
        broker.suback('quiet', 6);
        broker.publish(5, 1, 9, 'hello');
        broker.publish(5, 1, 3, 'number');
        broker.publish(5, 1, 4, 'any');
        broker.publish(5, 1, 0, 'none');
        broker.publish(6, 1, 9, 'quiet');
        broker.publish(8, 1, 0, 'stranger');
        const texts = (callback) => callback.calls.map(([data]) => SMQ.utf8.decode(data));
        assert.deepEqual(texts(hello), ['hello']);
        assert.deepEqual(texts(number), ['number']);
        assert.deepEqual(texts(any), ['any', 'none']);
        assert.deepEqual(texts(smq.onmsg), ['quiet', 'stranger']);
    });

    it('sends Subscribe when the sub-topic is known, so that no message misses its handler', () => {
        smq.subscribe('chat', 'hello', {onmsg: spy()});
        assert.deepEqual(broker.sent(), ['Createsub hello']);
        broker.createsuback('hello', 9);
        assert.deepEqual(broker.sent(), ['Subscribe chat']);
    });

    it('sends one Subscribe for a topic, however many handlers it has', () => {
        const onacks = [spy(), spy(), spy()];

        smq.subscribe('chat', {onack: onacks[0]});
        smq.subscribe('chat', 3, {onack: onacks[1]});
        broker.suback('chat', 5);
        smq.subscribe('chat', 4, {onack: onacks[2]});
        assert.deepEqual(broker.sent(), ['Subscribe chat']);
        assert.deepEqual(onacks[0].calls, [[true, 'chat', 5]]);
        assert.deepEqual(onacks[1].calls, [[true, 'chat', 5, 3, 3]]);
    });

    it('takes the settings as second or third argument, and does without', () => {
        const onmsg = spy();

        smq.subscribe('a', undefined, {onmsg});
        smq.subscribe('b', null, {onmsg});
        smq.subscribe('c', '', {onmsg});
        smq.subscribe('d', {onmsg});
        smq.subscribe('e', 'sub');
        smq.subscribe('f');
        broker.createsuback('sub', 9);
        for (const [i, name] of ['a', 'b', 'c', 'd', 'e', 'f'].entries()) {
            broker.suback(name, 10 + i);
            broker.publish(10 + i, 1, 0, name);
        }
        assert.deepEqual(onmsg.calls.map(([data]) => SMQ.utf8.decode(data)), ['a', 'b', 'c', 'd']);
    });

    it('replaces the handler when called again', () => {
        const [first, second] = [spy(), spy()];

        smq.subscribe('chat', {onmsg: first});
        smq.subscribe('chat', {onmsg: second});
        broker.suback('chat', 5);
        broker.publish(5, 1, 0, 'x');
        assert.equal(first.calls.length, 0);
        assert.equal(second.calls.length, 1);
    });

    it('tells onack that it was accepted: topic and tid, sub-topic and its number', () => {
        const onack = spy();

        smq.subscribe('chat', 'hello', {onack});
        broker.createsuback('hello', 9);
        broker.suback('chat', 5);
        assert.deepEqual(onack.calls, [[true, 'chat', 5, 'hello', 9]]);
    });

    it('tells onack that the topic was denied, and forgets the handler', () => {
        const onack = spy();
        const onmsg = spy();

        smq.subscribe('secret', {onack, onmsg});
        broker.suback('secret', 0);
        assert.deepEqual(onack.calls, [[false, 'secret', 0]]);
        smq.create('secret');
        broker.createack('secret', 5);
        broker.publish(5, 1, 0, 'x');
        assert.deepEqual(onmsg.calls, []);
        broker.sent();
        reconnect();
        assert.deepEqual(broker.sent(), ['Create secret']);
    });

    it('tells onack that the sub-topic was denied, and does not subscribe', (t) => {
        hush(t);
        const onack = spy();

        smq.subscribe('chat', 'secret', {onack});
        broker.createsuback('secret', 0);
        assert.deepEqual(onack.calls, [[false, 'chat', 0, 'secret', 0]]);
        assert.deepEqual(broker.sent(), ['Createsub secret']);
    });

    it('tells the answers in the order of the calls, however the broker\'s come', async () => {
        const told = [];
        const onack = (accepted, name) => told.push(`${name} ${accepted}`);

        smq.subscribe('first', {onack});
        smq.create('second', onack);
        smq.createsub('third', onack);
        smq.subscribe('self', {onack});
        smq.subscribe('last', {onack});
        broker.createsuback('third', 7);
        broker.suback('last', 8);
        broker.createack('second', 0);
        await broker.settle();
        assert.deepEqual(told, []);
        broker.suback('first', 5);
        await broker.settle();
        assert.deepEqual(told, ['first true', 'second false', 'third true', 'self true',
            'last true']);
    });

    it('never calls onack before the call has returned', async () => {
        const onack = spy();

        smq.subscribe('self', {onack});
        assert.deepEqual(onack.calls, []);
        await broker.settle();
        assert.deepEqual(onack.calls, [[true, 'self', ETID]]);
    });

    it('needs a topic', () => {
        assert.throws(() => smq.subscribe(undefined, {}), TypeError);
        assert.throws(() => smq.observe(null, spy()), TypeError);
        assert.throws(() => smq.create(0), TypeError);
        assert.throws(() => smq.create(2 ** 32), TypeError);
    });

    it('survives a handler that throws', (t) => {
        const errors = hush(t);
        const onmsg = () => { throw new Error('in the page'); };

        smq.onclose = spy();
        smq.subscribe('chat', {onmsg});
        broker.suback('chat', 5);
        broker.publish(5, 1, 0, 'x');
        assert.deepEqual(errors, ['Error: in the page']);
        assert.deepEqual(smq.onclose.calls, []);
    });

    it('matches names byte for byte, in any script', () => {
        const onmsg = spy();

        smq.subscribe('温度/κ/🌡', {onmsg});
        assert.deepEqual(broker.sent(), ['Subscribe 温度/κ/🌡']);
        broker.suback('温度/κ/🌡', 5);
        broker.publish(5, 1, 0, 'x');
        assert.equal(onmsg.calls.length, 1);
    });

    it('survives a name that is half a character', () => {
        smq.onclose = spy();
        smq.subscribe('\ud83c');
        broker.suback('\ufffd', 5); /* what its bytes are */
        assert.deepEqual(smq.onclose.calls, []);
    });
});

describe('"self"', () => {
    beforeEach(() => connect());

    it('needs no Subscribe: its handlers get what comes to our address', async () => {
        const [any, sub] = [spy(), spy()];
        const onack = spy();

        smq.subscribe('self', {onmsg: any});
        smq.subscribe('self', 'info', {onmsg: sub, onack});
        assert.deepEqual(broker.sent(), ['Createsub info']);
        broker.createsuback('info', 9);
        broker.publish(ETID, 33, 0, 'x');
        broker.publish(ETID, 33, 9, 'y');
        assert.deepEqual(any.calls, [[bytes('x'), 33, ETID, 0]]);
        assert.deepEqual(sub.calls, [[bytes('y'), 33, ETID, 9]]);
        assert.deepEqual(onack.calls, [[true, 'self', ETID, 'info', 9]]);
    });

    it('may have numbers as sub-topics', () => {
        const onmsg = spy();

        smq.subscribe('self', 1, {onmsg, datatype: 'text'});
        broker.publish(ETID, 33, 1, 'x');
        assert.deepEqual(onmsg.calls, [['x', 33, ETID, 1]]);
    });

    it('follows our address over a reconnect', () => {
        const onmsg = spy();

        smq.subscribe('self', {onmsg});
        reconnect(99);
        broker.publish(99, 33, 0, 'x');
        broker.publish(ETID, 33, 0, 'y');
        assert.deepEqual(onmsg.calls, [[bytes('x'), 33, 99, 0]]);
        assert.equal(smq.topic2tid('self'), 99);
    });

    it('is our address as a number, too', () => {
        const onmsg = spy();

        smq.subscribe(smq.gettid(), {onmsg});
        broker.publish(ETID, 33, 0, 'x');
        assert.equal(onmsg.calls.length, 1);
        assert.deepEqual(broker.sent(), []);
    });

    it('can be unsubscribed', () => {
        const onmsg = spy();

        smq.subscribe('self', {onmsg});
        smq.unsubscribe('self');
        broker.publish(ETID, 33, 0, 'x');
        assert.deepEqual(onmsg.calls, []);
        assert.deepEqual(broker.sent(), []);
    });
});

describe('numbers in place of names', () => {
    beforeEach(() => connect());

    it('mean the topic that has the number', () => {
        const onmsg = spy();

        smq.create('chat');
        broker.createack('chat', 5);
        broker.sent();
        smq.subscribe(5, {onmsg});
        assert.deepEqual(broker.sent(), ['Subscribe chat']);
        broker.suback('chat', 5);
        smq.unsubscribe(5);
        assert.deepEqual(broker.sent(), ['Unsubscribe 5']);
    });

    it('that nobody has named get handlers, without a word to the broker', async () => {
        const [onmsg, onack] = [spy(), spy()];

        smq.subscribe(5, {onmsg, onack});
        await broker.settle();
        broker.publish(5, 1, 0, 'x');
        assert.deepEqual(broker.sent(), []);
        assert.equal(onmsg.calls.length, 1);
        assert.deepEqual(onack.calls, [[true, 5, 5]]);
        smq.unsubscribe(5);
        broker.publish(5, 1, 0, 'x');
        assert.equal(onmsg.calls.length, 1);
    });

    it('keep their handlers and observers when the name turns up', () => {
        const [onmsg, onchange] = [spy(), spy()];

        smq.subscribe(5, {onmsg});
        smq.observe(5, onchange);
        smq.subscribe('chat', 3, {onmsg: spy()});
        broker.suback('chat', 5);
        broker.publish(5, 1, 0, 'x');
        broker.change(5, 0);
        broker.change(5, 2);
        assert.equal(onmsg.calls.length, 1);
        assert.deepEqual(onchange.calls, [[0, 'chat'], [2, 'chat']]);
    });
});

describe('unsubscribe', () => {
    beforeEach(() => {
        connect();
        smq.subscribe('chat', {onmsg: spy()});
    });

    it('sends Unsubscribe, and messages still under way go to the client\'s onmsg', () => {
        smq.onmsg = spy();
        broker.suback('chat', 5);
        smq.unsubscribe('chat');
        broker.publish(5, 1, 0, 'x');
        assert.deepEqual(broker.sent(), ['Subscribe chat', 'Unsubscribe 5']);
        assert.equal(smq.onmsg.calls.length, 1);
    });

    it('waits for the Suback when it has to', () => {
        smq.unsubscribe('chat');
        assert.deepEqual(broker.sent(), ['Subscribe chat']);
        broker.suback('chat', 5);
        assert.deepEqual(broker.sent(), ['Unsubscribe 5']);
    });

    it('of what was denied, or never subscribed, sends nothing', () => {
        smq.unsubscribe('chat');
        broker.suback('chat', 0);
        smq.unsubscribe('other');
        assert.deepEqual(broker.sent(), ['Subscribe chat']);
    });

    it('and subscribing again come in that order', () => {
        smq.unsubscribe('chat');
        smq.subscribe('chat');
        broker.suback('chat', 5);
        assert.deepEqual(broker.sent(), ['Subscribe chat', 'Unsubscribe 5', 'Subscribe chat']);
    });
});

describe('create and createsub', () => {
    beforeEach(() => connect());

    it('tell the number', () => {
        const [onack, onsuback] = [spy(), spy()];

        smq.create('chat', onack);
        smq.createsub('hello', onsuback);
        assert.deepEqual(broker.sent(), ['Create chat', 'Createsub hello']);
        broker.createack('chat', 5);
        broker.createsuback('hello', 9);
        assert.deepEqual(onack.calls, [[true, 'chat', 5]]);
        assert.deepEqual(onsuback.calls, [[true, 'hello', 9]]);
    });

    it('tell it from memory the second time', async () => {
        const onack = spy();

        smq.create('chat');
        broker.createack('chat', 5);
        broker.sent();
        smq.create('chat', onack);
        assert.deepEqual(onack.calls, []);
        await broker.settle();
        assert.deepEqual(onack.calls, [[true, 'chat', 5]]);
        assert.deepEqual(broker.sent(), []);
    });

    it('take topic and sub-topic in one call', () => {
        const onack = spy();

        smq.create('chat', 'hello', onack);
        broker.createack('chat', 5);
        assert.deepEqual(onack.calls, []);
        broker.createsuback('hello', 9);
        assert.deepEqual(onack.calls, [[true, 'chat', 5, 'hello', 9]]);
    });

    it('tell a denial', (t) => {
        hush(t);
        const onack = spy();

        smq.create('secret', onack);
        smq.createsub('secret', onack);
        smq.create('chat', 'secret', onack);
        broker.createack('secret', 0);
        broker.createack('chat', 5);
        broker.createsuback('secret', 0);
        assert.deepEqual(onack.calls, [[false, 'secret', 0], [false, 'secret', 0],
            [false, 'chat', 5, 'secret', 0]]);
    });

    it('make the names and numbers known, both ways', () => {
        assert.equal(smq.topic2tid('chat'), undefined);
        smq.create('chat', 'hello');
        assert.equal(smq.topic2tid('chat'), undefined);
        broker.createack('chat', 5);
        broker.createsuback('hello', 5);
        assert.equal(smq.topic2tid('chat'), 5);
        assert.equal(smq.tid2topic(5), 'chat');
        assert.equal(smq.subtopic2tid('hello'), 5);
        assert.equal(smq.tid2subtopic(5), 'hello');
        assert.equal(smq.tid2topic(6), undefined);
        assert.equal(smq.tid2subtopic(6), undefined);
        assert.equal(smq.tid2topic(ETID), 'self');
    });

    it('say nothing to a topic that Subscribe denied but Create allows', () => {
        const [onsub, onack] = [spy(), spy()];

        smq.subscribe('wall', {onack: onsub});
        smq.create('wall', onack);
        assert.deepEqual(broker.sent(), ['Subscribe wall']);
        broker.suback('wall', 0);
        assert.deepEqual(broker.sent(), ['Create wall']);
        broker.createack('wall', 5);
        assert.deepEqual(onsub.calls, [[false, 'wall', 0]]);
        assert.deepEqual(onack.calls, [[true, 'wall', 5]]);
    });
});

describe('observe', () => {
    beforeEach(() => connect());

    it('a topic tells every number of subscribers, and the topic as the page called it', () => {
        const onchange = spy();

        smq.observe('chat', onchange);
        broker.createack('chat', 5);
        assert.deepEqual(broker.sent(), ['Create chat', 'Observe 5']);
        for (const count of [0, 3, 0, 1])
            broker.change(5, count);
        assert.deepEqual(onchange.calls, [0, 3, 0, 1].map((count) => [count, 'chat']));
    });

    it('a client tells when it goes, once', () => {
        const onchange = spy();

        smq.observe(33, onchange);
        assert.deepEqual(broker.sent(), ['Observe 33']);
        broker.change(33, 0);
        broker.change(33, 0);
        assert.deepEqual(onchange.calls, [[0, 33]]);
    });

    it('again after a client went asks again', () => {
        smq.observe(33, spy());
        broker.change(33, 0);
        smq.observe(33, spy());
        assert.deepEqual(broker.sent(), ['Observe 33', 'Observe 33']);
    });

    it('again replaces the callback, without another Observe', () => {
        const [first, second] = [spy(), spy()];

        smq.observe(33, first);
        smq.observe(33, second);
        broker.change(33, 0);
        assert.deepEqual(broker.sent(), ['Observe 33']);
        assert.deepEqual([first.calls.length, second.calls.length], [0, 1]);
    });

    it('ends with unobserve; a Change under way is ignored', () => {
        const onchange = spy();

        smq.observe('chat', onchange);
        broker.createack('chat', 5);
        smq.observe(33, onchange);
        smq.unobserve('chat');
        smq.unobserve(33);
        smq.unobserve(34);
        assert.deepEqual(broker.sent(), ['Create chat', 'Observe 5', 'Observe 33', 'Unobserve 5',
            'Unobserve 33']);
        broker.change(5, 1);
        broker.change(33, 0);
        assert.deepEqual(onchange.calls, []);
    });

    it('called off before it was sent is never sent', () => {
        smq = broker.client();
        smq.observe(33, spy());
        smq.unobserve(33);
        broker.accept();
        assert.deepEqual(broker.sent(), []);
    });
});

describe('a reconnect', () => {
    const [onmsg, onsub, onchange, ongone] = [spy(), spy(), spy(), spy()];

    /* chat (5) with a handler and one for hello (9), status (6) known, chat and 33 observed. */
    beforeEach(() => {
        [onmsg, onsub, onchange, ongone].forEach((callback) => callback.take());
    });

    function prepare(opt) {
        connect(opt);
        smq.onclose = spy(1);
        smq.subscribe('chat', {onmsg});
        smq.subscribe('chat', 'hello', {onmsg: onsub});
        smq.observe('chat', onchange);
        smq.observe(33, ongone);
        smq.publish('x', 'status');
        broker.createsuback('hello', 9);
        broker.createack('status', 6);
        broker.suback('chat', 5);
        broker.sent();
    }

    it('subscribes and observes again, before what waited', () => {
        prepare();
        broker.lose();
        smq.publish('late', 'status');
        clock.advance(1);
        broker.accept();
        assert.deepEqual(broker.sent().sort(), ['Create status', 'Createsub hello']);
        broker.createsuback('hello', 19);
        assert.deepEqual(broker.sent(), ['Subscribe chat']);
        broker.suback('chat', 15);
        assert.deepEqual(broker.sent(), ['Observe 15', 'Observe 33']);
        broker.createack('status', 16);
        assert.deepEqual(broker.sent(), [`Publish 16 from ${ETID} sub 0: late`]);
    });

    it('goes by the new numbers, and by them alone', () => {
        prepare();
        reconnect();
        broker.createsuback('hello', 19);
        broker.suback('chat', 15);
        broker.publish(15, 1, 0, 'a');
        broker.publish(15, 1, 19, 'b');
        broker.publish(5, 1, 0, 'old');
        broker.publish(15, 1, 9, 'c');
        broker.change(15, 4);
        broker.change(5, 7);
        assert.deepEqual(onmsg.calls, [[bytes('a'), 1, 15, 0], [bytes('c'), 1, 15, 9]]);
        assert.deepEqual(onsub.calls, [[bytes('b'), 1, 15, 19]]);
        assert.deepEqual(onchange.calls, [[4, 'chat']]);
        assert.equal(smq.tid2topic(5), undefined);
        assert.equal(smq.topic2tid('chat'), 15);
    });

    it('learns of the clients that went meanwhile', () => {
        prepare();
        reconnect();
        broker.createsuback('hello', 19);
        broker.suback('chat', 15);
        assert.ok(broker.sent().includes('Observe 33'));
        broker.change(33, 0);
        assert.deepEqual(ongone.calls, [[0, 33]]);
    });

    it('does not call onack a second time', () => {
        const onack = spy();

        connect();
        smq.subscribe('chat', {onack});
        broker.suback('chat', 5);
        reconnect();
        broker.suback('chat', 15);
        assert.equal(onack.calls.length, 1);
    });

    it('answers what the lost connection left open', () => {
        const [onack, onsuback] = [spy(), spy()];

        connect();
        smq.subscribe('chat', {onack: onsuback});
        smq.create('status', onack);
        reconnect();
        assert.deepEqual(broker.sent().sort(), ['Create status', 'Subscribe chat']);
        broker.suback('chat', 15);
        broker.createack('status', 16);
        assert.deepEqual(onsuback.calls, [[true, 'chat', 15]]);
        assert.deepEqual(onack.calls, [[true, 'status', 16]]);
    });

    it('does not bring back what was unsubscribed or unobserved', () => {
        prepare();
        smq.unsubscribe('chat');
        smq.unobserve('chat');
        smq.unobserve(33);
        reconnect();
        broker.createack('chat', 15);
        broker.createack('status', 16);
        broker.createsuback('hello', 19);
        const sent = broker.sent();
        assert.deepEqual(sent.filter((line) => /^(Subs|Obs)/.test(line)), []);
    });

    it('does not bring back what was unsubscribed or unobserved meanwhile', () => {
        prepare();
        broker.lose();
        smq.unsubscribe('chat');
        smq.unobserve('chat');
        smq.unobserve(33);
        clock.advance(1);
        broker.accept();
        broker.createack('chat', 15);
        broker.createack('status', 16);
        broker.createsuback('hello', 19);
        assert.deepEqual(broker.sent().sort(), ['Create chat', 'Create status', 'Createsub hello']);
    });

    it('restores again and again', () => {
        prepare();
        for (let i = 2; i < 5; i++) {
            reconnect();
            broker.createsuback('hello', 10 * i + 9);
            broker.suback('chat', 10 * i + 5);
            broker.publish(10 * i + 5, 1, 10 * i + 9, 'x');
            assert.deepEqual(onsub.take(), [[bytes('x'), 1, 10 * i + 5, 10 * i + 9]]);
        }
    });

    it('goes on when a subscription is denied now', () => {
        prepare();
        reconnect();
        broker.sent();
        broker.createsuback('hello', 19);
        broker.suback('chat', 0);
        broker.createack('chat', 15);
        assert.deepEqual(broker.sent(), ['Subscribe chat', 'Create chat', 'Observe 15',
            'Observe 33']);
    });

    it('goes on when a sub-topic is denied now', (t) => {
        hush(t);
        prepare();
        reconnect();
        broker.sent();
        broker.createsuback('hello', 0);
        assert.deepEqual(broker.sent(), ['Subscribe chat']);
    });

    it('with cleanstart forgets all of it', () => {
        prepare({cleanstart: true});
        smq.publish('waiting', 'unknown');
        broker.lose();
        assert.equal(smq.topic2tid('chat'), undefined);
        clock.advance(1);
        broker.accept();
        assert.deepEqual(broker.sent(), []);
        broker.publish(5, 1, 0, 'x');
        assert.deepEqual(onmsg.calls, []);
    });

    it('with cleanstart keeps what the page asks for after the loss', () => {
        prepare({cleanstart: true});
        smq.onclose = () => {
            smq.subscribe('other');
            return 1;
        };
        broker.lose();
        clock.advance(1);
        broker.accept();
        assert.deepEqual(broker.sent(), ['Subscribe other']);
    });

    it('with cleanstart and the set-up in onconnect works like the first time', () => {
        connect({cleanstart: true});
        smq.onclose = spy(1);
        smq.onconnect = () => smq.subscribe('chat', {onmsg});
        smq.onreconnect = smq.onconnect;
        reconnect();
        assert.deepEqual(broker.sent(), ['Subscribe chat']);
        broker.suback('chat', 5);
        broker.publish(5, 1, 0, 'x');
        assert.equal(onmsg.calls.length, 1);
    });
});

describe('SMQ.utf8', () => {
    it('encodes, decodes and measures', () => {
        assert.deepEqual(SMQ.utf8.encode('ü'), bytes(0xc3, 0xbc));
        assert.equal(SMQ.utf8.decode(bytes('grüße')), 'grüße');
        assert.equal(SMQ.utf8.decode(bytes('abcde'), 1, 3), 'bcd');
        assert.equal(SMQ.utf8.decode(bytes('abcd'), 2), 'cd');
        assert.equal(SMQ.utf8.decode([104, 105]), 'hi');
        const into = new Uint8Array(4);
        assert.equal(SMQ.utf8.encode('hi', into, 1), into);
        assert.deepEqual(into, bytes(0, 'hi', 0));
        assert.equal(SMQ.utf8.length('ü🌡'), 6);
    });
});
