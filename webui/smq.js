/*
 * webui/smq.js — the SMQ client for browsers: publish and subscribe over one WebSocket.
 *
 *      const smq = SMQ.Client(SMQ.wsURL('/smq.lsp'));
 *      smq.subscribe('chat', {datatype: 'text', onmsg: (text, ptid) => show(text)});
 *      smq.publish('hello', 'chat');
 *      smq.onclose = (message, canreconnect) => canreconnect ? 3000 : undefined;
 *
 * A classic script that sets the global SMQ. smq.mjs is the same for `import`; smq.d.ts has the
 * types and is the reference.
 *
 * The page speaks of names, the wire of numbers, and a number holds for one connection only. So a
 * Name keeps what the page wants with it, and its number comes and goes. Whatever the page asks
 * for is an order in one queue, the outbox. An order leaves when its names have numbers, and never
 * before the one in front of it: what was called first is done first, before the first connection
 * as well as after the tenth. The questions for numbers do not queue: all are asked at once.
 *
 * A new connection begins by subscribing and observing again, then goes on with the outbox.
 */
(() => {
    'use strict';

    /* Packets */
    const INIT = 1, CONNECT = 2, CONNACK = 3, SUBSCRIBE = 4, SUBACK = 5, CREATE = 6, CREATEACK = 7,
        PUBLISH = 8, UNSUBSCRIBE = 9, DISCONNECT = 11, PING = 12, PONG = 13, OBSERVE = 14,
        UNOBSERVE = 15, CHANGE = 16, CREATESUB = 17, CREATESUBACK = 18;

    const VERSION = 1;
    const PUBLISH_HEAD_BYTES = 13;
    const PAYLOAD_BYTES_MAX = 0xfff0;
    const CLOSE_PROTOCOL_ERROR = 4002; /* of the range that is free for applications */

    /* The life of a connection: Init is awaited, then the page's credentials, then Connack. OVER
     * is for good. */
    const DOWN = 0, OPENED = 1, ASKING = 2, CONNECTING = 3, UP = 4, OVER = 5;

    /* What the broker has of our subscription to a topic. */
    const NONE = 0, ASKED = 1, HELD = 2;

    const DEFAULTS = {
        cleanstart: false,
        timeout: 10, /* seconds for the broker's part of the handshake */
        ping: 120, /* seconds of silence before we ask whether the broker is there; 0: never */
        pong: 10, /* ... and how long it may take to say so */
        queue: 10000, /* messages that wait for a connection; beyond it the oldest goes */
    };

    const encoder = new TextEncoder();
    const decoder = new TextDecoder('utf-8', {ignoreBOM: true}); /* a BOM is text like any other */

    /* By datatype, what onmsg gets for the bytes of a message. */
    const READERS = {
        bin: (bytes) => bytes,
        text: (bytes) => decoder.decode(bytes),
        json: (bytes) => JSON.parse(decoder.decode(bytes)),
    };

    class Malformed extends Error {}

    function toBytes(data) {
        if (data instanceof ArrayBuffer || Array.isArray(data))
            return new Uint8Array(data);
        if (ArrayBuffer.isView(data))
            return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
        if (typeof data === 'object' && data !== null)
            throw new TypeError('SMQ: a message is text or bytes; pubjson() takes objects');
        return encoder.encode(data ?? '');
    }

    /* A packet: its type, 32-bit numbers, bytes. */
    function pack(type, numbers, bytes = []) {
        const packet = new Uint8Array(1 + 4 * numbers.length + bytes.length);

        packet[0] = type;
        setNumbers(packet, numbers);
        packet.set(bytes, 1 + 4 * numbers.length);
        return packet;
    }

    function setNumbers(packet, numbers) {
        const view = new DataView(packet.buffer);

        numbers.forEach((number, i) => view.setUint32(1 + 4 * i, number));
    }

    /* A packet that came in. */
    class Packet extends Uint8Array {
        number(at) {
            return new DataView(this.buffer).getUint32(at);
        }

        bytes(at) {
            return new Uint8Array(this.buffer.slice(at)); /* .buffer holds nothing else */
        }

        text(at) {
            return decoder.decode(this.bytes(at));
        }
    }

    /* A sub-topic; a Topic is one as well: a name the broker has a number for. */
    class Name {
        constructor(text, question, id = 0) {
            this.text = text;
            this.question = question; /* the packet that asks for the number */
            this.id = id; /* 0 while we have none */
            this.asked = false; /* the question is on its way */
        }
    }

    /* Where messages go: a topic, "self", or a mere number (text undefined, the id for ever). */
    class Topic extends Name {
        constructor(text, id) {
            super(text, CREATE, id);
            this.handlers = new Map(); /* Name, number, or 0 for any sub-topic → settings */
            this.held = NONE;
            this.waiting = []; /* for Suback: functions of (accepted) */
            this.onchange = undefined;
            this.watched = false; /* the broker has our Observe */
        }

        get isNumber() {
            return this.text === undefined;
        }

        get isInUse() {
            return this.handlers.size > 0 || this.onchange !== undefined;
        }

        /* Become what a mere number was to the page, now that we know it is this topic's. */
        adopt(other) {
            this.handlers = new Map([...other.handlers, ...this.handlers]);
            this.watched = this.watched || other.watched;
            this.onchange ??= other.onchange;
        }
    }

    const isTopic = (thing) => typeof thing === 'number' ? thing > 0 && thing <= 0xffffffff :
        thing !== undefined && thing !== null;
    const isName = (thing) => thing instanceof Name;
    const idOf = (thing) => isName(thing) ? thing.id : thing || 0;

    class Core {
        constructor(smq, url, opt) {
            this.smq = smq; /* what the page has; its on... are called */
            this.url = url;
            this.opt = {...DEFAULTS, ...opt};
            this.WebSocket = this.opt.WebSocket ?? globalThis.WebSocket;
            this.uid = toBytes(this.opt.uid ?? randomUid());
            if (!this.WebSocket)
                throw new Error('SMQ: there is no WebSocket here; pass one: {WebSocket: ...}');
            if (this.uid.length < 6 || this.uid.length > 255)
                throw new RangeError('SMQ: a uid is 6 to 255 bytes long');
            this.state = DOWN;
            this.wasUp = false; /* ever */
            this.isTaking = false; /* a packet is being taken: see ack() */
            this.forget();
        }

        /* ---- the connection ---- */

        open() {
            const ws = new this.WebSocket(this.url);

            ws.binaryType = 'arraybuffer';
            ws.onmessage = (event) => this.take(event.data);
            ws.onclose = (event) => this.end(event.reason ||
                (this.state === UP ? 'the connection broke' : 'no connection'), true);
            ws.onerror = () => {}; /* a close follows; Node's ws throws when nobody listens */
            this.ws = ws;
            this.state = OPENED;
            this.expectAnswer();
        }

        send(type, numbers, bytes) {
            this.ws.send(pack(type, numbers, bytes));
        }

        /* One timer is enough: a connection waits for one thing at a time. */
        after(seconds, what) {
            clearTimeout(this.timer);
            if (seconds > 0)
                this.timer = setTimeout(what, seconds * 1000);
        }

        /* A socket may hang for minutes before it says so. */
        expectAnswer(seconds = this.opt.timeout) {
            this.heard = false;
            this.after(seconds, () => this.heard ? this.keepAlive() :
                this.end('the broker does not answer', true));
        }

        keepAlive() {
            this.heard = false;
            this.after(this.opt.ping, () => {
                if (this.heard)
                    return this.keepAlive();
                this.send(PING, []);
                this.expectAnswer(this.opt.pong);
            });
        }

        take(data) {
            this.isTaking = true;
            try {
                this.takePacket(data);
            } catch (error) {
                if (!(error instanceof Malformed))
                    throw error;
                this.end('protocol error: ' + error.message, true, CLOSE_PROTOCOL_ERROR);
            } finally {
                this.isTaking = false;
                this.tell();
            }
        }

        takePacket(data) {
            const packet = data instanceof ArrayBuffer ? new Packet(data) : [];
            const [name, states, least, most = Infinity] = PACKETS[packet[0]] ?? [];

            if (!name)
                throw new Malformed('unknown packet');
            if (!states.includes(this.state))
                throw new Malformed('unexpected ' + name);
            if (packet.length < least || packet.length > most)
                throw new Malformed(name + ' of ' + packet.length + ' bytes');
            this.heard = true;
            this['on' + name](packet);
        }

        async onInit(packet) {
            const ws = this.ws;

            if (packet[1] !== VERSION)
                return this.end('the broker speaks version ' + packet[1] + ' of SMQ', false);
            this.state = ASKING;
            this.after(0); /* the page may need time: for a person, or for WebCrypto */
            this.seed = packet.number(2);
            this.ip = packet.text(6);
            try {
                const {onauth} = this.smq;
                const secret = toBytes(onauth && await onauth.call(this.smq, this.seed, this.ip));

                if (this.ws === ws) /* still the same connection */
                    this.connect(secret);
            } catch (error) {
                report(error);
                if (this.ws === ws)
                    this.end('no credentials', false);
            }
        }

        connect(secret) {
            if (secret.length > 255)
                throw new RangeError('SMQ: credentials are at most 255 bytes long');
            this.state = CONNECTING;
            this.send(CONNECT, [], [VERSION, this.uid.length, ...this.uid, secret.length, ...secret,
                ...toBytes(this.opt.info)]);
            this.expectAnswer();
        }

        onConnack(packet) {
            const code = packet[1];
            const callback = this.wasUp ? this.smq.onreconnect : this.smq.onconnect;

            if (code !== 0)
                return this.end(packet.text(6) || 'refused', false, 1000, code);
            if (this.state === ASKING)
                throw new Malformed('Connack before Connect');
            this.learn(this.byTid, this.self, packet.number(2));
            this.state = UP;
            this.wasUp = true;
            this.keepAlive();
            this.resume();
            this.call(callback, this.self.id, this.seed, this.ip);
        }

        onPing() {
            this.send(PONG, []);
        }

        onPong() {}

        onDisconnect(packet) {
            this.end(packet.text(1) || 'disconnected', false);
        }

        /* The connection is over; the page says whether there will be another one. */
        end(message, canreconnect, closeCode = 1000, code = undefined) {
            const isClean = this.state === UP && this.opt.cleanstart;

            this.shut(closeCode);
            this.state = DOWN;
            if (isClean)
                this.forget();
            else
                this.suspend();
            const delay = this.call(this.smq.onclose, message, canreconnect, code);

            if (this.state === OVER) /* onclose called disconnect() */
                return;
            if (canreconnect && typeof delay === 'number')
                this.after(Math.max(delay, 1) / 1000, () => this.reopen());
            else
                this.finish();
        }

        reopen() {
            try {
                this.open();
            } catch (error) {
                this.end(error.message, true);
            }
        }

        shut(closeCode) {
            this.after(0);
            if (this.ws) {
                this.ws.onmessage = this.ws.onclose = null;
                this.ws.close(closeCode);
            }
            this.ws = undefined;
        }

        finish() {
            this.shut(1000);
            this.state = OVER;
            this.forget();
        }

        disconnect() {
            if (this.state === UP)
                this.send(DISCONNECT, []);
            this.finish();
        }

        /* ---- names and numbers ---- */

        /* All of it, as if the page had just been loaded. */
        forget() {
            this.outbox = [];
            this.lookups = []; /* like orders; they only want to know, and stand in nobody's way */
            this.acks = [];
            this.self = new Topic('self', 0);
            this.topics = new Map([['self', this.self]]); /* by text */
            this.subtopics = new Map();
            this.byTid = new Map(); /* also mere numbers, while they are in use */
            this.bySubtid = new Map();
        }

        /* The numbers go with the connection. What it held comes before the outbox next time. */
        suspend() {
            const orders = [];

            for (const name of [...this.topics.values(), ...this.subtopics.values()]) {
                name.id = 0;
                name.asked = false;
            }
            for (const topic of this.allTopics()) {
                if (topic.held !== NONE)
                    orders.push(this.subscribing(topic));
                if (topic.watched)
                    orders.push(this.observing(topic));
                topic.held = NONE;
                topic.watched = false;
            }
            this.outbox.unshift(...orders);
            this.byTid = new Map([...this.byTid].filter(([, topic]) => topic.isNumber));
            this.bySubtid.clear();
        }

        /* Connected: ask for all the numbers again, and go on. */
        resume() {
            this.subtopics.forEach((name) => this.ask(name));
            this.topics.forEach((topic) => topic.isInUse || this.ask(topic));
            this.flush();
        }

        allTopics() {
            return new Set([...this.topics.values(), ...this.byTid.values()]);
        }

        /* Topics that have a handler get their number from Suback. */
        ask(name) {
            if (this.state !== UP || name.id !== 0 || name.asked || name.held === ASKED)
                return;
            name.asked = true;
            this.send(name.question, [], encoder.encode(name.text));
        }

        learn(byId, name, id) {
            const before = byId.get(id);

            if (id === 0)
                throw new Malformed('a number of 0');
            if (before?.isNumber)
                name.adopt(before);
            name.id = id;
            byId.set(id, name);
        }

        topic(topic) {
            if (!isTopic(topic))
                throw new TypeError('SMQ: not a topic: ' + topic);
            if (typeof topic === 'number')
                return this.byTid.get(topic) ?? new Topic(undefined, topic);
            return named(this.topics, topic, (text) => new Topic(text, 0));
        }

        /* A Name, a number, or 0 for none. */
        subtopic(subtopic) {
            if (typeof subtopic === 'number' || !subtopic)
                return subtopic || 0;
            return named(this.subtopics, subtopic, (text) => new Name(text, CREATESUB));
        }

        onCreateack(packet) {
            this.answered(packet, this.topics, this.byTid);
        }

        onCreatesuback(packet) {
            this.answered(packet, this.subtopics, this.bySubtid);
        }

        answered(packet, names, byId) {
            const name = names.get(packet.text(6));

            if (!name || !name.asked)
                throw new Malformed('an answer to nothing');
            name.asked = false;
            if (packet[1] === 0)
                this.learn(byId, name, packet.number(2));
            else
                this.deny(name);
            this.flush();
        }

        /* What needs the name cannot be done. */
        deny(name) {
            const needsName = (order) => order.needs.includes(name);

            console.warn('SMQ: the broker denies us ' + name.text);
            this.allTopics().forEach((topic) => topic.handlers.delete(name));
            const denied = [...this.lookups, ...this.outbox].filter(needsName);

            this.lookups = this.lookups.filter((order) => !needsName(order));
            this.outbox = this.outbox.filter((order) => !needsName(order));
            denied.forEach((order) => order.deny?.());
        }

        /* ---- the outbox ----
         *
         * An order: needs, the Names it waits for; run(), which returns false when it has to wait
         * for something else; deny(), optional, when a name is refused. */

        post(order) {
            if (this.state === OVER)
                return;
            if (order.isMessage && this.outbox.length >= this.opt.queue) {
                const oldest = this.outbox.findIndex((each) => each.isMessage);

                console.warn('SMQ: the queue is full: the oldest message is dropped');
                this.outbox.splice(oldest, oldest < 0 ? 0 : 1);
            }
            (order.isLookup ? this.lookups : this.outbox).push(order);
            order.needs.forEach((name) => this.ask(name));
            this.flush();
        }

        flush() {
            const canRun = ({needs}) => {
                needs.forEach((name) => this.ask(name));
                return needs.every((name) => name.id !== 0);
            };

            this.lookups = this.lookups.filter((order) => !canRun(order) || order.run() === false);
            while (this.state === UP && this.outbox.length > 0) {
                if (!canRun(this.outbox[0]) || this.outbox[0].run() === false)
                    return;
                this.outbox.shift();
            }
        }

        /* Returns a function that answers @onack, with (accepted, and the names with their
         * numbers). Answers are told in the order of the calls, however the broker's come: the
         * last of many subscribe() says that all of them are done. */
        ack(onack, ...names) {
            const ack = {onack, values: undefined};

            if (typeof onack === 'function')
                this.acks.push(ack);
            return (accepted) => {
                ack.values = [accepted, ...names.flatMap(([text, name]) => [text, idOf(name)])];
                if (!this.isTaking)
                    Promise.resolve().then(() => this.tell()); /* after the page's call */
            };
        }

        tell() {
            while (this.acks.length > 0 && this.acks[0].values) {
                const {onack, values} = this.acks.shift();

                this.call(onack, ...values);
            }
        }

        /* A mistake of the page's is not the connection's. */
        call(callback, ...values) {
            try {
                return typeof callback === 'function' && callback.apply(this.smq, values);
            } catch (error) {
                return report(error);
            }
        }

        /* ---- messages ---- */

        publish(data, topic, subtopic) {
            if (!isTopic(topic)) /* pages may not know an address yet, and go on */
                return console.warn('SMQ: dropped a message to ' + topic);
            const to = this.topic(topic);
            const sub = this.subtopic(subtopic);
            const packet = pack(PUBLISH, [0, 0, 0], toBytes(data));

            if (packet.length > PUBLISH_HEAD_BYTES + PAYLOAD_BYTES_MAX)
                throw new RangeError('SMQ: a message holds at most 65520 bytes');
            this.post({
                isMessage: true,
                needs: [to, sub].filter(isName),
                run: () => {
                    setNumbers(packet, [to.id, this.self.id, idOf(sub)]);
                    this.ws.send(packet);
                },
            });
        }

        pubjson(value, topic, subtopic) {
            this.publish(JSON.stringify(value), topic, subtopic);
        }

        onPublish(packet) {
            const [tid, ptid, subtid] = [1, 5, 9].map((at) => packet.number(at));
            const topic = this.byTid.get(tid);
            const {onmsg, datatype} = [this.bySubtid.get(subtid), subtid, 0]
                .map((key) => topic?.handlers.get(key)).find((found) => found?.onmsg) ?? {};
            let callback = onmsg ?? this.smq.onmsg;
            let data = packet.bytes(PUBLISH_HEAD_BYTES);

            try {
                data = (READERS[datatype] ?? READERS.bin)(data);
            } catch (error) {
                callback = this.smq.onmsg; /* this is not the JSON that onmsg was promised */
            }
            this.call(callback, data, ptid, tid, subtid);
        }

        /* ---- subscriptions ---- */

        subscribe(topic, subtopic, settings) {
            if (subtopic && typeof subtopic === 'object')
                [subtopic, settings] = [undefined, subtopic];
            if (this.state === OVER)
                return;
            const to = this.topic(topic);
            const sub = this.subtopic(subtopic);
            const told = this.ack(settings?.onack, [topic, to],
                ...(sub ? [[subtopic, sub]] : []));

            to.handlers.set(sub, settings ?? {});
            if (to.isNumber)
                this.byTid.set(to.id, to);
            this.post(this.subscribing(to, sub, (accepted) => {
                if (!accepted)
                    to.handlers.delete(sub);
                told(accepted);
            }));
        }

        /* Subscribe goes out when all the handlers' sub-topics have numbers: the first message
         * must find its handler. */
        subscribing(topic, sub, answer) {
            return {
                get needs() {
                    return [sub, ...topic.handlers.keys()].filter(isName);
                },
                run: () => {
                    if (topic === this.self || topic.isNumber || topic.held === HELD)
                        return answer?.(true);
                    if (answer)
                        topic.waiting.push(answer);
                    else if (topic.handlers.size === 0 && topic.waiting.length === 0)
                        return; /* was held, and is not wanted any more */
                    if (topic.held === NONE)
                        this.send(SUBSCRIBE, [], encoder.encode(topic.text));
                    topic.held = ASKED;
                },
                deny: () => answer(false),
            };
        }

        onSuback(packet) {
            const topic = this.topics.get(packet.text(6));
            const accepted = packet[1] === 0;

            if (!topic || topic.held !== ASKED)
                throw new Malformed('an answer to nothing');
            topic.held = accepted ? HELD : NONE;
            if (accepted)
                this.learn(this.byTid, topic, packet.number(2));
            topic.waiting.splice(0).forEach((answer) => answer(accepted));
            this.flush();
        }

        unsubscribe(topic) {
            const from = this.topic(topic);

            from.handlers.clear();
            this.tidy(from);
            this.post({
                needs: [],
                run: () => {
                    if (from.held === ASKED)
                        return false; /* there is no number yet */
                    if (from.held === HELD)
                        this.send(UNSUBSCRIBE, [from.id]);
                    from.held = NONE;
                },
            });
        }

        /* ---- numbers for the page ---- */

        create(topic, subtopic, onack) {
            if (typeof subtopic === 'function')
                [subtopic, onack] = [undefined, subtopic];
            const sub = this.subtopic(subtopic);

            this.resolve(onack, [topic, this.topic(topic)], ...(sub ? [[subtopic, sub]] : []));
        }

        createsub(subtopic, onack) {
            this.resolve(onack, [subtopic, this.subtopic(subtopic)]);
        }

        resolve(onack, ...names) {
            const answer = this.ack(onack, ...names);

            this.post({
                isLookup: true,
                needs: names.map(([, name]) => name).filter(isName),
                run: () => answer(true),
                deny: () => answer(false),
            });
        }

        gettid() {
            return this.self.id || undefined;
        }

        getsock() {
            return this.ws;
        }

        topic2tid(topic) {
            return idOf(this.topics.get(topic)) || undefined;
        }

        tid2topic(tid) {
            return this.byTid.get(tid)?.text;
        }

        subtopic2tid(subtopic) {
            return idOf(this.subtopics.get(subtopic)) || undefined;
        }

        tid2subtopic(subtid) {
            return this.bySubtid.get(subtid)?.text;
        }

        /* ---- observing ---- */

        observe(topic, onchange) {
            const what = this.topic(topic);

            what.onchange = onchange;
            if (what.isNumber)
                this.byTid.set(what.id, what);
            this.post(this.observing(what));
        }

        observing(topic) {
            return {
                needs: [topic],
                run: () => {
                    if (!topic.onchange || topic.watched)
                        return;
                    topic.watched = true;
                    this.send(OBSERVE, [topic.id]);
                },
            };
        }

        unobserve(topic) {
            const what = this.topic(topic);

            what.onchange = undefined;
            this.tidy(what);
            this.post({
                needs: [],
                run: () => {
                    if (what.watched)
                        this.send(UNOBSERVE, [what.id]);
                    what.watched = false;
                },
            });
        }

        onChange(packet) {
            const topic = this.byTid.get(packet.number(1));
            const subscribers = packet.number(5);

            if (!topic)
                return; /* unobserved a moment ago */
            const {onchange} = topic;

            if (topic.isNumber && subscribers === 0) { /* a client that went: the last Change */
                topic.onchange = undefined;
                topic.watched = false;
                this.tidy(topic);
            }
            this.call(onchange, subscribers, topic.text ?? topic.id);
        }

        tidy(topic) {
            if (topic.isNumber && !topic.isInUse)
                this.byTid.delete(topic.id);
        }
    }

    /* Name, the states it may come in, the least and the most bytes: on<Name> takes it. */
    const PACKETS = {
        [INIT]: ['Init', [OPENED], 6],
        [CONNACK]: ['Connack', [ASKING, CONNECTING], 6],
        [SUBACK]: ['Suback', [UP], 6],
        [CREATEACK]: ['Createack', [UP], 6],
        [PUBLISH]: ['Publish', [UP], PUBLISH_HEAD_BYTES],
        [DISCONNECT]: ['Disconnect', [OPENED, ASKING, CONNECTING, UP], 1],
        [PING]: ['Ping', [UP], 1, 1],
        [PONG]: ['Pong', [UP], 1, 1],
        [CHANGE]: ['Change', [UP], 9, 9],
        [CREATESUBACK]: ['Createsuback', [UP], 6],
    };

    /* The broker answers with the bytes of a name; half a surrogate pair would not come back. */
    function named(names, text, make) {
        const key = decoder.decode(encoder.encode(text));

        if (!names.has(key))
            names.set(key, make(key));
        return names.get(key);
    }

    function hex(bytes) {
        return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
    }

    function randomUid() {
        return 'web-' + hex(crypto.getRandomValues(new Uint8Array(12)));
    }

    /* The answer to a broker that asks for a shared key: its HMAC over seed and uid. */
    function sharedKey(uid, key) {
        return async (seed) => {
            const {subtle} = crypto;
            const hmac = await subtle.importKey('raw', toBytes(key),
                {name: 'HMAC', hash: 'SHA-256'}, false, ['sign']);
            const text = Uint8Array.of(seed >>> 24, seed >>> 16, seed >>> 8, seed, ...toBytes(uid));

            return hex(new Uint8Array(await subtle.sign('HMAC', hmac, text)));
        };
    }

    function report(error) {
        (globalThis.reportError || console.error)(error);
    }

    function wsURL(path) {
        const page = globalThis.location;
        const url = new URL(path || page.pathname, page?.href);

        url.protocol = url.protocol.replace('http', 'ws');
        url.hash = ''; /* WebSocket takes no fragment */
        return url.href;
    }

    /* With or without new. The methods are bound: a page may hand them on. */
    function Client(url, opt) {
        const smq = this instanceof Client ? this : Object.create(Client.prototype);

        if (url && typeof url === 'object' && !(url instanceof URL))
            [url, opt] = [undefined, url];
        const core = new Core(smq, wsURL(url), opt);

        for (const method of ['publish', 'pubjson', 'subscribe', 'unsubscribe', 'create',
            'createsub', 'observe', 'unobserve', 'disconnect', 'gettid', 'getsock', 'topic2tid',
            'tid2topic', 'subtopic2tid', 'tid2subtopic'])
            smq[method] = core[method].bind(core);
        core.open();
        return smq;
    }

    globalThis.SMQ = {
        Client,
        sharedKey,
        wsURL,
        websocket: () => typeof globalThis.WebSocket === 'function',
        utf8: {
            encode: (text, into, start = 0) => {
                const bytes = encoder.encode(text);

                into?.set(bytes, start);
                return into ?? bytes;
            },
            decode: (bytes, begin = 0, length = bytes.length - begin) =>
                decoder.decode(Uint8Array.from(bytes.slice(begin, begin + length))),
            length: (text) => encoder.encode(text).length,
        },
    };
})();
