/*
 * webui/admin/traffic.js — messages as they come, the newest on top: of a device, or of a topic.
 * Bounded, and drawn once a frame however many come.
 */
import {h, segmented} from './dom.js';
import * as format from './format.js';
import {FORMATS, show} from './payload.js';

const KEPT_MAX = 200;

/**
 * @typedef {object} Message
 * @property {number} t  ms
 * @property {'in' | 'out' | 'sent' | 'answer'} [dir]  in: from the device, out: to it
 * @property {string} [topic]
 * @property {string} [subtopic]
 * @property {string} [from]
 * @property {Uint8Array} data  perhaps only the beginning
 * @property {number} bytes  of all of it
 *
 * Or {t, note}: a remark of ours between them.
 */

const DIRECTIONS = {in: ['from it', '↑'], out: ['to it', '↓'], sent: ['sent by you', '→'],
    answer: ['an answer to you', '←']};

export class Traffic {
    /** While there is nothing. @param {string} offText  nobody listens  @param {string} onText */
    constructor(offText, onText) {
        this.texts = {offText, onText};
        this.waiting = [];
        this.kept = []; /* oldest first */
        this.shown = 'text';
        this.isPaused = false;
        this.total = 0;
        this.list = h('ol', {class: 'traffic', tabindex: '0', 'aria-label': 'Messages'});
        this.empty = h('p', {class: 'traffic-empty muted small'}, offText);
        this.counter = h('span', {class: 'muted small number'});
        this.pauseButton = h('button', {class: 'button quiet small', type: 'button',
            'aria-pressed': 'false', onclick: () => this.pause(!this.isPaused)}, 'Pause');
        this.element = h('div', {class: 'stack'},
            h('div', {class: 'spread'},
                segmented('Show messages as', FORMATS, this.shown, (value) => this.showAs(value)),
                h('div', {class: 'row tight'}, this.pauseButton,
                    h('button', {class: 'button quiet small', type: 'button',
                        onclick: () => this.clear()}, 'Clear'))),
            this.empty, this.list);
        this.list.hidden = true;
    }

    /** What stands above it: a title, how many there were, and a switch. */
    head(title, control) {
        return h('div', {class: 'spread'},
            h('div', {class: 'row tight'}, h('h3', {}, title), this.counter), control);
    }

    setLive(isOn) {
        this.empty.textContent = isOn ? this.texts.onText : this.texts.offText;
    }

    /** @param {Message} message */
    add(message) {
        this.total += message.note ? 0 : 1;
        this.waiting.push(message);
        if (this.waiting.length > KEPT_MAX)
            this.waiting.shift();
        this.frame ??= requestAnimationFrame(() => this.draw());
    }

    pause(isPaused) {
        this.isPaused = isPaused;
        this.pauseButton.textContent = isPaused ? 'Go on' : 'Pause';
        this.pauseButton.setAttribute('aria-pressed', String(isPaused));
        this.draw();
    }

    clear() {
        this.waiting = [];
        this.kept = [];
        this.total = 0;
        this.list.replaceChildren();
        this.draw();
    }

    showAs(shown) {
        this.shown = shown;
        this.list.replaceChildren(...this.kept.map((message) => this.row(message)).reverse());
    }

    draw() {
        this.frame = undefined;
        if (!this.isPaused) {
            const fresh = this.waiting.splice(0);

            this.kept.push(...fresh);
            this.kept.splice(0, this.kept.length - KEPT_MAX);
            this.list.prepend(...fresh.map((message) => this.row(message)).reverse());
            while (this.list.childElementCount > KEPT_MAX)
                this.list.lastElementChild.remove();
        }
        this.empty.hidden = this.kept.length > 0;
        this.list.hidden = this.kept.length === 0;
        this.counter.textContent = this.total === 0 ? '' : format.plural(this.total, 'message') +
            (this.isPaused && this.waiting.length > 0 ? `, ${this.waiting.length} waiting` : '');
    }

    row(message) {
        if (message.note)
            return h('li', {class: 'message muted small'}, message.note);
        const [meaning, arrow] = DIRECTIONS[message.dir] ?? [];
        const isCut = message.data.length < message.bytes;

        return h('li', {class: `message ${message.dir ?? ''}`},
            h('p', {class: 'message-head small'},
                arrow && h('span', {class: 'arrow', title: meaning, role: 'img',
                    'aria-label': meaning}, arrow),
                message.topic && h('strong', {class: 'message-topic'}, message.topic),
                message.subtopic && h('span', {class: 'badge'}, message.subtopic),
                message.from && h('span', {class: 'muted mono'}, message.from),
                h('span', {class: 'message-time muted number'},
                    `${format.bytes(message.bytes)} · ${format.time(message.t)}`)),
            h('pre', {class: 'payload'}, show(message.data, this.shown) +
                (isCut ? `\n… the first ${format.bytes(message.data.length)}` : '')));
    }
}
