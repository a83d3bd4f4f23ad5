/*
 * webui/admin/device_panel.js — one device: what is known of it, its traffic, a message to it, and
 * the door.
 */
import * as api from './api.js';
import {ask, h, icon, setText, toast, toggle} from './dom.js';
import * as format from './format.js';
import {lineTo} from './instances.js';
import {fromBase64} from './payload.js';
import {sendForm} from './send_form.js';
import {Traffic} from './traffic.js';

const TAP_MS = 5 * 60000; /* then the server stops by itself */
const NAMES_MS = 3000; /* between two looks at the names of topics */
const BANS = [['60', 'a minute'], ['3600', 'an hour'], ['86400', 'a day'], ['604800', 'a week']];

const FACTS = [
    ['Address', (row) => `${row.address}:${row.port}`],
    ['ETID', (row) => String(row.etid)],
    ['Connected', (row) => row.since ? `${format.duration((Date.now() - row.since) / 1000)}, since ${
        format.date(row.since)}` : format.NOTHING],
    ['Messages', (row) => `${format.count(row.received)} from it, ${format.count(row.sent)} to it`],
    ['Each second', (row) => `${format.short(row.inRate)} from it, ${
        format.short(row.outRate)} to it`],
    ['Queue', (row) => format.bytes(row.queued_bytes)],
    ['Drops', (row) => format.count(row.dropped)],
];
const MORE_FACTS = [
    ['Last heard', (row) => row.silent_s < 2 ? 'just now' : `${format.duration(row.silent_s)} ago`],
    ['Instance', (row) => row.instance],
    ['Topics', (row) => `${format.count(row.topics)} known, ${
        format.count(row.subscriptions)} subscribed`],
    ['Certificate', (row) => row.certificate && row.certificate !== 'none' ?
        `${row.certificate.toUpperCase()} served${row.resumed ? ', resumed' : ''}` : ''],
    ['Cipher', (row) => row.cipher ?? ''],
    ['Its certificate', (row) => row.identity ?? ''],
    ['Handshake', (row) => row.handshake_in_bytes ? `${format.bytes(row.handshake_in_bytes)} from ` +
        `it, ${format.bytes(row.handshake_out_bytes)} to it` : ''],
    ['I/O thread', (row) => String(row.io)],
];

/** Names with values that are read from a row; what is empty is left out. */
function factList(facts) {
    const values = facts.map(([name]) => [h('dt', {}, name), h('dd', {class: 'number'})]);

    return {
        element: h('dl', {class: 'facts'}, ...values.flat()),
        update: (row) => facts.forEach(([, read], i) => {
            const [term, value] = values[i];
            const text = read(row);

            setText(value, text);
            term.hidden = value.hidden = text === '';
        }),
    };
}

export class DevicePanel {
    /** @param {HTMLElement} root  @param {object} context  broker, peers, id, onclose */
    constructor(root, context) {
        Object.assign(this, context);
        this.undo = []; /* what ends with the panel */
        this.topicNames = new Map(); /* TID → name */
        this.askedNamesAt = -Infinity;
        this.title = h('h2', {class: 'panel-title'});
        this.info = h('p', {class: 'muted small'});
        this.badges = h('p', {class: 'row'});
        this.gone = h('p', {class: 'banner warn', role: 'status', hidden: true},
            'This device is not connected any more.');
        this.facts = [factList(FACTS), factList(MORE_FACTS)];
        this.live = h('div', {class: 'stack panel-live'});
        root.append(h('div', {class: 'panel'},
            h('div', {class: 'panel-head'},
                h('div', {class: 'panel-names'}, this.title, this.info),
                h('button', {class: 'button quiet icon-button', type: 'button', title: 'Close (Esc)',
                    onclick: () => this.onclose()}, icon('close'),
                h('span', {class: 'visually-hidden'}, 'Close'))),
            this.badges, this.gone,
            this.facts[0].element,
            h('details', {class: 'more'}, h('summary', {class: 'small'}, 'More about it'),
                this.facts[1].element),
            this.live));
    }

    destroy() {
        this.stopTap();
        this.undo.forEach((undo) => undo());
        this.line?.release();
    }

    /** The row has changed, or has come. */
    update() {
        const now = this.peers.rows.get(this.id);

        this.row = now ?? this.row;
        if (!this.row) {
            setText(this.title, this.peers.isLoading ? 'Looking for it …' : 'Not connected');
            return;
        }
        if (!this.line)
            this.open(this.row);
        setText(this.title, this.row.uid || '(no UID yet)');
        setText(this.info, this.row.info);
        this.gone.hidden = Boolean(now);
        this.live.hidden = !now;
        this.showBadges();
        this.facts.forEach((list) => list.update(this.row));
    }

    showBadges() {
        const wanted = [[this.peers.rows.has(this.id) ? this.row.state : 'gone', 'info'],
            [this.row.transport, ''], ...(this.row.tls ? [[this.row.tls, 'good']] : [])];
        const text = JSON.stringify(wanted);

        if (this.badgesText === text)
            return;
        this.badgesText = text;
        this.badges.replaceChildren(...wanted.map(([word, kind]) =>
            h('span', {class: `badge ${kind}`}, word)));
    }

    /* ---- traffic and messages ---- */

    open(row) {
        this.line = lineTo(row.instance);
        this.traffic = new Traffic('Switch it on to see every message to and from this device, ' +
            'or send one below.', 'Nothing yet. Messages appear as they come and go.');
        this.tapSwitch = toggle('Live', (isOn) => isOn ? this.startTap() : this.stopTap());
        const problem = h('p', {class: 'problem small', hidden: true});

        this.undo.push(
            this.broker.subscribe('tap', (message) => this.onTap(message)),
            this.line.onDirect((data, from, subtid) => this.onAnswer(data, from, subtid)),
            this.line.onState((text) => {
                problem.hidden = text === '';
                problem.textContent = `No connection to ${row.instance}: ${text}`;
            }));
        this.live.append(
            h('section', {class: 'stack'},
                this.traffic.head('Traffic', this.tapSwitch),
                this.traffic.element),
            h('section', {class: 'stack'}, h('h3', {}, 'Send a message'), problem,
                sendForm({label: 'Send', onsend: (bytes, subtopic) => this.send(bytes, subtopic)})),
            h('section', {class: 'row panel-actions'},
                h('button', {class: 'button danger', type: 'button',
                    onclick: () => this.disconnect()}, 'Disconnect …'),
                h('button', {class: 'button danger', type: 'button',
                    onclick: () => this.ban()}, 'Ban …')));
    }

    send(bytes, subtopic) {
        this.line.publish(bytes, this.row.etid, subtopic);
        this.traffic.add({t: Date.now(), dir: 'sent', subtopic, data: bytes, bytes: bytes.length});
    }

    onAnswer(data, from, subtid) {
        if (from === this.row.etid)
            this.traffic.add({t: Date.now(), dir: 'answer', data, bytes: data.length,
                subtopic: this.line.subtopicName(subtid)});
    }

    onTap(message) {
        if (message.id !== this.id || !this.isTapping)
            return;
        if (message.missed) {
            this.traffic.add({t: message.t, note: `${format.plural(message.missed, 'more message',
                'more messages')}, too many to show`});
            return;
        }
        this.traffic.add({t: message.t, dir: message.dir, bytes: message.bytes,
            topic: message.topic ?? this.topicName(message.tid),
            subtopic: this.line.subtopicName(message.stid),
            from: message.dir === 'out' ? this.clientName(message.ptid) : '',
            data: fromBase64(message.data)});
    }

    /* The tap tells numbers. */
    topicName(tid) {
        if (tid === this.row.etid)
            return '';
        if (tid === this.line.smq.gettid())
            return 'this page';
        if (!this.topicNames.has(tid))
            this.askNames();
        return this.topicNames.get(tid) ?? `#${tid}`;
    }

    clientName(etid) {
        return etid === 1 ? 'from the server' : etid === this.line.smq.gettid() ?
            'from this page' : `from ${etid}`;
    }

    async askNames() {
        if (performance.now() - this.askedNamesAt < NAMES_MS)
            return;
        this.askedNamesAt = performance.now();
        try {
            const topics = await api.topics();

            this.topicNames = new Map(topics
                .filter((topic) => topic.instance === this.row.instance)
                .map((topic) => [topic.tid, topic.name]));
        } catch {
            /* numbers will do */
        }
    }

    async startTap() {
        this.isTapping = true;
        this.traffic.setLive(true);
        await this.askNames();
        this.tapTimer = setTimeout(() => {
            this.tapSwitch.input.checked = false;
            this.isTapping = false;
            this.traffic.setLive(false);
            toast('Live traffic stopped after five minutes. Switch it on again to go on.', 'info');
        }, TAP_MS);
        await this.act('tap', {on: true}, () => {
            this.tapSwitch.input.checked = false;
            this.stopTap();
        });
    }

    stopTap() {
        if (!this.isTapping)
            return;
        this.isTapping = false;
        this.traffic.setLive(false);
        clearTimeout(this.tapTimer);
        api.post(`peers/${this.id}/tap`, {on: false}).catch(() => {}); /* it ends by itself, too */
    }

    /* ---- the door ---- */

    async act(action, body, onfail = () => {}) {
        try {
            await api.post(`peers/${this.id}/${action}`, body);
            return true;
        } catch (error) {
            toast(error.message, 'bad');
            onfail();
            return false;
        }
    }

    async disconnect() {
        const reason = h('input', {value: 'disconnected by an administrator', maxlength: '120'});
        const isSure = await ask({title: `Disconnect ${this.row.uid}?`, action: 'Disconnect',
            text: 'It is told the reason. Most devices come back by themselves; browsers do not.',
            fields: [h('label', {class: 'field'}, h('span', {}, 'Reason'), reason)]});

        if (isSure && await this.act('disconnect', {reason: reason.value}))
            toast(`${this.row.uid} is disconnected.`);
    }

    async ban() {
        const seconds = h('select', {}, ...BANS.map(([value, text]) => h('option', {value}, text)));

        seconds.value = BANS[1][0];
        const isSure = await ask({title: `Ban ${this.row.uid}?`, action: 'Ban',
            text: `Whatever comes from ${this.row.address} is disconnected, and refused during ` +
                'that time. Events has the list.',
            fields: [h('label', {class: 'field'}, h('span', {}, 'For'), seconds)]});

        if (isSure && await this.act('ban', {seconds: Number(seconds.value)}))
            toast(`${this.row.uid} is banned.`);
    }
}
