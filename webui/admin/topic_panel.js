/* webui/admin/topic_panel.js — one topic: its figures, its messages as they come, and a message
 * to it. The page is a subscriber like any other while it listens. */
import {h, icon, setText, toggle} from './dom.js';
import * as format from './format.js';
import {lineTo} from './instances.js';
import {visible} from './payload.js';
import {sendForm} from './send_form.js';
import {Traffic} from './traffic.js';

const RATE_MS = 5000; /* what the rate of a listened topic is the mean of */

export class TopicPanel {
    /** @param {HTMLElement} root  @param {object} context  instance, name, onclose */
    constructor(root, context) {
        Object.assign(this, context);
        this.arrivals = [];
        this.line = lineTo(this.instance);
        this.facts = Object.fromEntries(['TID', 'Instance', 'Subscribers', 'Messages']
            .map((name) => [name, h('dd', {class: 'number'}, format.NOTHING)]));
        this.traffic = new Traffic('Listen to see the messages as they come.',
            'Nothing yet. Messages appear as they are published.');
        this.tapSwitch = toggle('Listen', (isOn) => isOn ? this.listen() : this.stop());
        this.problem = h('p', {class: 'problem small', role: 'status', hidden: true});
        setText(this.facts.Instance, this.instance);
        setText(this.facts.Messages, 'listen to count them');
        root.append(h('div', {class: 'panel'},
            h('div', {class: 'panel-head'},
                h('div', {class: 'panel-names'}, h('h2', {class: 'panel-title'}, visible(this.name)),
                    this.problem),
                h('button', {class: 'button quiet icon-button', type: 'button', title: 'Close (Esc)',
                    onclick: () => this.onclose()}, icon('close'),
                h('span', {class: 'visually-hidden'}, 'Close'))),
            h('dl', {class: 'facts'}, ...Object.entries(this.facts)
                .flatMap(([name, value]) => [h('dt', {}, name), value])),
            h('div', {class: 'stack panel-live'},
                h('section', {class: 'stack'},
                    this.traffic.head('Messages', this.tapSwitch),
                    this.traffic.element),
                h('section', {class: 'stack'}, h('h3', {}, 'Publish'),
                    sendForm({label: 'Publish', onsend: (bytes, subtopic) =>
                        this.line.publish(bytes, this.name, subtopic)})))));
        this.unwatch = this.line.onState((text) => this.say(text &&
            `No connection to ${this.instance}: ${text}`));
        this.line.smq.create(this.name, (accepted, topic, tid) => this.onNumber(accepted, tid));
        this.timer = setInterval(() => this.showRate(), 1000);
    }

    destroy() {
        clearInterval(this.timer);
        this.stop();
        this.line.smq.unobserve(this.name);
        this.unwatch();
        this.line.release();
    }

    say(text) {
        this.problem.textContent = text;
        this.problem.hidden = !text;
    }

    onNumber(accepted, tid) {
        if (!accepted) {
            this.say('The broker does not let this page use the topic.');
            return;
        }
        setText(this.facts.TID, tid);
        this.line.smq.observe(this.name, (subscribers) => this.showSubscribers(subscribers));
    }

    showSubscribers(subscribers) {
        const isOurs = Boolean(this.unsubscribe);

        setText(this.facts.Subscribers, `${format.count(subscribers)}${isOurs ?
            ', this page among them' : ''}`);
    }

    listen() {
        this.listensSince = performance.now();
        this.traffic.setLive(true);
        this.unsubscribe = this.line.subscribe(this.name, (data, from, subtid) => {
            this.arrivals.push(performance.now());
            this.traffic.add({t: Date.now(), data, bytes: data.length,
                subtopic: this.line.subtopicName(subtid),
                from: from === 1 ? 'from the server' : `from ${from}`});
        }, (accepted) => {
            if (accepted)
                return;
            this.say('The broker does not let this page subscribe to the topic.');
            this.tapSwitch.input.checked = false;
            this.stop();
        });
    }

    stop() {
        this.unsubscribe?.();
        this.unsubscribe = undefined;
        this.arrivals = [];
        this.traffic.setLive(false);
        setText(this.facts.Messages, 'listen to count them');
    }

    showRate() {
        if (!this.unsubscribe)
            return;
        const now = performance.now();
        const spanMs = Math.max(1000, Math.min(RATE_MS, now - this.listensSince));

        this.arrivals = this.arrivals.filter((at) => at >= now - spanMs);
        setText(this.facts.Messages, `${format.short(this.arrivals.length * 1000 / spanMs)} each ` +
            'second, as listened to');
    }
}
