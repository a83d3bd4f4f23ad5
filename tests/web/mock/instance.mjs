/*
 * tests/web/mock/instance.mjs — an SMQ broker of one path, as much of it as pages need.
 *
 * Its clients are WebSockets; numbers without one are answered for by the world (onDirect). It is
 * no reference: what is right, tests/wire/ asks the real server.
 */
const INIT = 1, CONNECT = 2, CONNACK = 3, SUBSCRIBE = 4, SUBACK = 5, CREATE = 6, CREATEACK = 7,
    PUBLISH = 8, UNSUBSCRIBE = 9, DISCONNECT = 11, PING = 12, PONG = 13, OBSERVE = 14,
    UNOBSERVE = 15, CHANGE = 16, CREATESUB = 17, CREATESUBACK = 18;

export function frame(type, numbers, payload = '') {
    const head = Buffer.alloc(1 + 4 * numbers.length);

    head[0] = type;
    numbers.forEach((number, i) => head.writeUInt32BE(number, 1 + 4 * i));
    return Buffer.concat([head, Buffer.from(payload)]);
}

export class Instance {
    constructor(path) {
        this.path = path;
        this.topics = new Map(); /* name → {name, tid, subscribers, rate} */
        this.byTid = new Map();
        this.subtopics = new Map();
        this.clients = new Map(); /* ETID → WebSocket */
        this.observers = new Map(); /* number → Set of WebSockets */
        this.nextNumber = 1000;
        this.onDirect = undefined; /* (etid, from, stid, payload): for numbers without a socket */
        this.onFirst = undefined; /* (name): a topic got its first subscriber */
    }

    number() {
        this.nextNumber = (this.nextNumber * 48271) % 0x7fffffff;
        return this.nextNumber;
    }

    topic(name) {
        if (!this.topics.has(name)) {
            const topic = {name, tid: this.number(), subscribers: new Set(), others: 0, rate: 0};

            this.topics.set(name, topic);
            this.byTid.set(topic.tid, topic);
        }
        return this.topics.get(name);
    }

    subtopic(name) {
        if (!this.subtopics.has(name))
            this.subtopics.set(name, this.number());
        return this.subtopics.get(name);
    }

    /* Publish by the server itself (ETID 1), to a name or a number. */
    publish(to, payload, {from = 1, stid = 0} = {}) {
        const number = typeof to === 'string' ? this.topic(to).tid : to;

        this.route(number, frame(PUBLISH, [number, from, stid], payload));
    }

    isWatched(name) {
        return (this.topics.get(name)?.subscribers.size ?? 0) > 0;
    }

    route(number, packet) {
        const topic = this.byTid.get(number);

        if (topic)
            topic.subscribers.forEach((socket) => socket.send(packet));
        else if (this.clients.has(number))
            this.clients.get(number).send(packet);
        else
            this.onDirect?.(number, packet.readUInt32BE(5), packet.readUInt32BE(9),
                packet.subarray(13));
    }

    attach(socket) {
        socket.etid = this.number();
        socket.send(frame(INIT, [], Buffer.from([1, 1, 2, 3, 4, ...Buffer.from('127.0.0.1')])));
        socket.on('message', (data) => this.take(socket, Buffer.from(data)));
        socket.on('close', () => this.detach(socket));
    }

    detach(socket) {
        this.clients.delete(socket.etid);
        for (const topic of this.topics.values())
            if (topic.subscribers.delete(socket))
                this.changed(topic.tid, topic.subscribers.size + topic.others);
        this.observers.forEach((sockets) => sockets.delete(socket));
        this.changed(socket.etid, 0);
    }

    changed(number, count) {
        this.observers.get(number)?.forEach((socket) => socket.send(frame(CHANGE, [number, count])));
    }

    take(socket, packet) {
        const text = packet.subarray(1).toString();
        const number = packet.length >= 5 ? packet.readUInt32BE(1) : 0;

        switch (packet[0]) {
        case CONNECT:
            this.clients.set(socket.etid, socket);
            socket.send(Buffer.concat([Buffer.from([CONNACK, 0]),
                frame(0, [socket.etid]).subarray(1)]));
            break;
        case SUBSCRIBE:
            this.subscribe(socket, text);
            break;
        case CREATE:
            socket.send(ack(CREATEACK, this.topic(text).tid, text));
            break;
        case CREATESUB:
            socket.send(ack(CREATESUBACK, this.subtopic(text), text));
            break;
        case PUBLISH:
            this.route(number, packet);
            break;
        case UNSUBSCRIBE:
            this.unsubscribe(socket, this.byTid.get(number));
            break;
        case PING:
            socket.send(frame(PONG, []));
            break;
        case OBSERVE:
            this.observe(socket, number);
            break;
        case UNOBSERVE:
            this.observers.get(number)?.delete(socket);
            break;
        case DISCONNECT:
            socket.close();
            break;
        }
    }

    subscribe(socket, name) {
        const topic = this.topic(name);
        const isFirst = topic.subscribers.size === 0;

        topic.subscribers.add(socket);
        this.changed(topic.tid, topic.subscribers.size + topic.others);
        socket.send(ack(SUBACK, topic.tid, name));
        if (isFirst)
            this.onFirst?.(name);
    }

    unsubscribe(socket, topic) {
        if (topic?.subscribers.delete(socket))
            this.changed(topic.tid, topic.subscribers.size + topic.others);
    }

    observe(socket, number) {
        const topic = this.byTid.get(number);

        if (!this.observers.has(number))
            this.observers.set(number, new Set());
        this.observers.get(number).add(socket);
        if (topic)
            socket.send(frame(CHANGE, [number, topic.subscribers.size + topic.others]));
    }
}

function ack(type, number, name) {
    return Buffer.concat([Buffer.from([type, 0]), frame(0, [number], name).subarray(1)]);
}
