/*
 * tests/web/mock/world.mjs — a broker's day without a broker: devices that come, talk and go, and
 * the figures the server would publish about them. Drawn from a seed, so pictures can be compared.
 */
const KINDS = [
    {uid: 'meter', info: 'MX-200 power meter, firmware 4.1.0', share: 0.4},
    {uid: 'lamp', info: 'street lamp', share: 0.25},
    {uid: 'therm', info: 'thermometer, firmware 2.0.3', share: 0.2},
    {uid: 'gate', info: 'gateway, rack 7', share: 0.1},
    {uid: 'web', info: 'Mozilla/5.0 (X11; Linux x86_64)', share: 0.05},
];
const TRANSPORTS = ['tcp', 'tls', 'tls', 'tls', 'ws', 'wss'];
const DROPS = {
    no_receiver: 'nobody had subscribed, or the number is unknown',
    dropped_new: 'slow receiver: new messages dropped',
    dropped_old: 'slow receiver: old messages dropped',
    dropped_closed: 'slow receiver: lost by disconnecting',
    dropped_memory: 'memory_limit reached',
    dropped_gone: 'the receiver had just closed',
    dropped_denied: 'the access list does not allow it',
};
const CLOSED = {
    peer: 'the peer closed',
    disconnect: 'the client sent Disconnect',
    keepalive: 'no answer to Ping',
    takeover: 'the same UID connected again',
    slow: 'output queue full, policy disconnect',
    protocol: 'protocol error',
    handshake_timeout: 'no Connect in time',
};
const TLS_FAILED = {
    alert: 'the peer sent an alert',
    no_certificate: 'no client certificate',
    unknown_ca: 'a certificate of another CA',
};
const MEMORY = {
    connections: 160, 'ids held by connections': 24, 'subscriber lists of the I/O actors': 12,
    'incomplete frames': 3, 'output queues': 40, 'messages and identities': 52,
    'clients in the shards': 24, 'topics and names': 70, 'members and observers': 12,
    'hash tables': 40, 'TLS sessions': 380,
};

export class World {
    constructor({peers = 300, topics = 60, seed = 7, now = () => Date.now()} = {}) {
        this.state = seed;
        this.now = now;
        this.startedAt = now() - 8 * 3600e3 - 754e3;
        this.rows = new Map();
        this.byEtid = new Map();
        this.serial = 0;
        this.totals = {};
        this.seconds = 0;
        this.topicsWanted = topics;
        for (let i = 0; i < peers; i++)
            this.join(now() - Math.floor(this.random() ** 3 * 8 * 3600e3));
    }

    random() {
        this.state = (this.state * 48271) % 0x7fffffff;
        return this.state / 0x7fffffff;
    }

    pick(list) {
        return list[Math.floor(this.random() * list.length)];
    }

    join(since = this.now()) {
        let left = this.random();
        const kind = KINDS.find((each) => (left -= each.share) < 0) ?? KINDS[0];
        const serial = ++this.serial;
        const transport = kind.uid === 'web' ? this.pick(['ws', 'wss']) : this.pick(TRANSPORTS);
        const isSecure = transport === 'tls' || transport === 'wss';
        const row = {
            id: `${serial % 2}.${serial}.1`,
            uid: `${kind.uid}-${String(serial * 7919 % 1000000).padStart(6, '0')}`,
            info: kind.info,
            etid: Math.floor(this.random() * 0xffffffff) + 1,
            address: `10.${serial >> 16 & 255}.${serial >> 8 & 255}.${serial & 255}`,
            port: 40000 + serial % 20000,
            state: 'live',
            instance: '/smq.lsp',
            io: serial % 2,
            topics: 1 + Math.floor(this.random() * 4),
            subscriptions: 1 + Math.floor(this.random() * 2),
            received: Math.floor(this.random() * 5000),
            sent: Math.floor(this.random() * 9000),
            dropped: this.random() < 0.02 ? Math.floor(this.random() * 300) : 0,
            queued_bytes: this.random() < 0.03 ? Math.floor(this.random() * 60000) : 0,
            silent_s: Math.floor(this.random() * 60),
            transport,
            since,
            tls: isSecure ? this.pick(['TLS 1.3', 'TLS 1.2']) : '',
        };

        if (isSecure)
            Object.assign(row, {cipher: 'AES128-GCM', certificate: this.pick(['ecc', 'ecc', 'rsa']),
                resumed: this.random() < 0.5, identity: kind.uid === 'web' ? '' : row.uid});
        this.rows.set(row.id, row);
        this.byEtid.set(row.etid, row);
        return row;
    }

    leave(id) {
        const row = this.rows.get(id);

        if (!row)
            return undefined;
        this.rows.delete(id);
        this.byEtid.delete(row.etid);
        return row;
    }

    /* One second goes by. Returns who came and who went. */
    tick() {
        const ids = [...this.rows.keys()];
        const changes = {joined: [], left: []};

        this.seconds++;
        for (const row of this.rows.values()) {
            if (this.random() < 0.3) {
                row.received += Math.floor(this.random() * 4);
                row.sent += Math.floor(this.random() * 8);
                row.silent_s = 0;
            }
            if (row.queued_bytes > 0)
                row.queued_bytes = Math.floor(this.random() * 60000);
        }
        for (let i = 0; i < 1 + ids.length / 5000; i++) {
            changes.left.push(this.pick(ids));
            changes.joined.push(this.join());
        }
        changes.left = [...new Set(changes.left)].filter((id) => this.leave(id));
        return changes;
    }

    total(name, grows) {
        const rate = Math.floor(grows * this.random());

        this.totals[name] = (this.totals[name] ?? Math.floor(grows * 900)) + rate;
        return {total: this.totals[name], rate};
    }

    reasons(list, grows) {
        return Object.entries(list).map(([name, help], i) =>
            ({name, ...this.total(name, i === 0 ? grows : i === 1 ? grows / 4 : 0), help}));
    }

    /* A figure that goes up and down as the day does. */
    wave(mean, at = this.now()) {
        const s = at / 1000;

        return mean * (1 + 0.25 * Math.sin(s / 210) + 0.12 * Math.sin(s / 37) +
            0.1 * (this.random() - 0.5));
    }

    count(test) {
        return [...this.rows.values()].filter(test).length;
    }

    stats() {
        const n = this.rows.size;
        const kinds = Object.entries(MEMORY).map(([name, each]) => ({name, bytes: each * n + 4096}))
            .concat([{name: 'lanes between actors', bytes: 655360},
                {name: 'receive buffers and urings', bytes: 1540096},
                {name: 'web pages and log-ins', bytes: 262144},
                {name: 'everything else', bytes: 131072}]);
        const used = kinds.reduce((sum, kind) => sum + kind.bytes, 0);
        const transports = (name) => this.count((row) => row.transport === name);
        const rates = this.rates();

        return {
            t: this.now(),
            uptime_s: Math.floor((this.now() - this.startedAt) / 1000),
            connections: {open: n + 3, live: n, tcp: transports('tcp'), tls: transports('tls'),
                ws: transports('ws'), wss: transports('wss'),
                ecc: this.count((row) => row.certificate === 'ecc'),
                rsa: this.count((row) => row.certificate === 'rsa')},
            rates,
            latency_us: {p50: Math.round(this.wave(11)), p99: Math.round(this.wave(74)),
                count: Math.round(rates.messages_out / 10)},
            drops: this.reasons(DROPS, 40),
            closed: this.reasons(CLOSED, 6),
            tls_failed: this.reasons(TLS_FAILED, 2),
            memory: {limit_bytes: 64 << 20, used_bytes: used, rss_bytes: used + (3 << 20), kinds},
            actors: this.actors(),
            scripts: [this.script()],
            certificates: [
                {kind: 'ecc', subject: 'broker.example', days_left: 812},
                {kind: 'rsa', subject: 'broker.example', days_left: 21},
            ],
            reload: {ok: true, at: this.startedAt + 3600e3, text: 'certificates read again'},
        };
    }

    rates() {
        const n = this.rows.size;

        return {messages_in: this.wave(n * 2.1), messages_out: this.wave(n * 6.4),
            bytes_in: this.wave(n * 180), bytes_out: this.wave(n * 610),
            accepted: this.wave(2), handshakes: this.wave(1.4), resumed: this.wave(0.8)};
    }

    script() {
        const call = (name, rate, mean, slowest, errors = 0) => ({name,
            total: Math.round((this.seconds + 100) * rate), rate: this.wave(rate), errors,
            mean_us: rate > 0 ? this.wave(mean) : null, slowest_us: slowest});

        return {instance: '/smq.lsp', loaded: true, loads: 2, load_failures: 0, errors: 3,
            timeouts: 1, memory_bytes: Math.round(this.wave(412000)), queue: 0, timers: 2,
            async_waiting: 1, published: this.wave(4), dropped: 0,
            calls: [call('load', 0.1, 900, 2100), call('authenticate', 2, 14, 240),
                call('onpublish', this.rows.size * 2, 3.2, 910, 2), call('timer', 1, 22, 180, 1),
                call('onunload', 0, 0, 0)]};
    }

    actors() {
        const actor = (name, kind, load, connections, room = 255) => ({name, kind,
            load: Math.min(1, this.wave(load)), turns: Math.round(this.wave(load * 9000)),
            sleeps: Math.round(this.wave(load * 5000)),
            envelopes: Math.round(this.wave(load * 60000)),
            lane_depth: Math.round(this.wave(load * 30)), lane_room: room,
            backlogs: name === 'io-1' && this.seconds % 20 === 0 ? 3 : 0, connections});

        return [actor('io-0', 'io', 0.34, this.count((row) => row.io === 0)),
            actor('io-1', 'io', 0.41, this.count((row) => row.io === 1)),
            actor('router-0', 'router', 0.22, 0), actor('control', 'control', 0.002, 0, 0),
            actor('web', 'web', 0.008, 1, 0)];
    }

    history(count = 1500) {
        const n = this.rows.size;
        const means = {messages_in: n * 2.1, messages_out: n * 6.4, bytes_in: n * 180,
            bytes_out: n * 610, connections: n, memory: n * 900 + 3e6, p50_us: 11, p99_us: 74,
            drops: 12, cpu: 0.98};
        const t = this.now();
        const series = {};

        for (const [name, mean] of Object.entries(means))
            series[name] = Array.from({length: count}, (_, i) =>
                this.wave(mean, t - 2000 * (count - 1 - i)));
        for (const name of ['p50_us', 'p99_us'])
            series[name].fill(null, count >> 1, (count >> 1) + 40);
        return {step_s: 2, t, series};
    }
}
