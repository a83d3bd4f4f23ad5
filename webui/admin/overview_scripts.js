/*
 * webui/admin/overview_scripts.js — the Lua scripts beside the instances: is each in force, what goes
 * wrong in it, and how long its functions take. Nothing where there are none.
 */
import {h, setText} from './dom.js';
import * as format from './format.js';

/* Name, hint, and the text of a script's statistics. */
const FACTS = [
    ['Memory', 'Of the Lua state', (script) => format.bytes(script.memory_bytes)],
    ['Sent', 'Messages the script publishes', (script) => `${format.short(script.published)}/s`],
    ['Waiting', 'Messages to it, while it waits for an answer itself', (script) =>
        format.count(script.queue)],
    ['Dropped', 'Messages to it and of it, because a queue was full', (script) =>
        format.short(script.dropped)],
    ['Timers', 'That are set', (script) => format.count(script.timers)],
    ['Jobs', 'Of smq.async, that wait or run', (script) => format.count(script.async_waiting)],
    ['Loaded', 'Times a script has taken over', (script) => format.short(script.loads)],
];

/* Heading, hint, and the cell's text. */
const COLUMNS = [
    ['Calls', 'Since the start', (call) => format.short(call.total)],
    ['Errors', 'Since the start', (call) => format.short(call.errors)],
    ['Now', 'Calls each second', (call) => `${format.short(call.rate)}/s`],
    ['Mean', 'Of the last second', (call) => format.micros(call.mean_us)],
    ['Slowest', 'Since the script was loaded', (call) => format.micros(call.slowest_us)],
];

class ScriptCard {
    constructor(instance) {
        this.rows = new Map();
        this.badge = h('span', {class: 'badge'});
        this.problems = h('p', {class: 'small', hidden: true});
        this.values = FACTS.map(() => h('dd', {class: 'number'}));
        this.body = h('tbody', {});
        this.table = h('div', {class: 'table-scroll', tabindex: '0', role: 'region',
            'aria-label': `Functions of the script of ${instance}`}, h('table', {class: 'reasons'},
            h('thead', {}, h('tr', {}, h('th', {}, 'Function'), ...COLUMNS.map(([title, hint]) =>
                h('th', {class: 'number', title: hint}, title)))), this.body));
        this.quiet = h('p', {class: 'muted small'}, 'None of its functions has been called.');
        this.element = h('section', {class: 'card info-card'},
            h('div', {class: 'spread'}, h('h3', {class: 'wraps'}, instance), this.badge),
            this.problems,
            h('div', {class: 'script'},
                h('dl', {class: 'facts spread-facts'}, ...FACTS.flatMap(([name, hint], i) =>
                    [h('dt', {title: hint}, name), this.values[i]])),
                this.quiet, this.table));
    }

    update(script) {
        setText(this.badge, script.loaded ? 'in force' : 'not loaded');
        this.badge.className = `badge ${script.loaded ? 'good' : 'bad'}`;
        this.showProblems(script);
        FACTS.forEach(([, , read], i) => setText(this.values[i], read(script)));
        const called = script.calls.filter((call) => call.total > 0);

        called.forEach((call) => this.showCall(call));
        this.table.hidden = called.length === 0;
        this.quiet.hidden = called.length > 0;
    }

    showProblems({errors, timeouts, load_failures: failures}) {
        const texts = [errors > 0 && format.plural(errors, 'error'),
            timeouts > 0 && `${format.count(timeouts)} out of time`,
            failures > 0 && `${format.count(failures)} not loaded`].filter(Boolean);
        const text = texts.join(', ');

        this.problems.hidden = texts.length === 0;
        if (this.shown === text)
            return;
        this.shown = text;
        this.problems.replaceChildren(h('span', {class: 'badge warn'}, text), ' ',
            h('a', {href: '#/events/script.'}, 'See events'));
    }

    showCall(call) {
        if (!this.rows.has(call.name)) {
            const cells = COLUMNS.map(() => h('td', {class: 'number'}));

            this.rows.set(call.name, cells);
            this.body.append(h('tr', {}, h('td', {class: 'reason'}, call.name), ...cells));
        }
        this.rows.get(call.name).forEach((cell, i) => setText(cell, COLUMNS[i][2](call)));
    }
}

export function scriptsSection() {
    const cards = new Map();
    const room = h('div', {class: 'script-cards'});
    const element = h('section', {hidden: true, 'aria-label': 'Scripts'},
        h('div', {class: 'section-head'}, h('h2', {}, 'Scripts'),
            h('p', {class: 'muted small'}, 'Set with ', h('code', {}, 'script'),
                ' of an instance; read again on SIGHUP.')), room);

    return {
        element,
        update({scripts = []}) {
            element.hidden = scripts.length === 0;
            for (const script of scripts) {
                if (!cards.has(script.instance)) {
                    const card = new ScriptCard(script.instance);

                    cards.set(script.instance, card);
                    room.append(card.element);
                }
                cards.get(script.instance).update(script);
            }
        },
    };
}
