/* webui/admin/events.js — what happened: who came, who was refused and why, who is slow. */
import {bansCard} from './bans.js';
import {h, searchBox, segmented, setText} from './dom.js';
import {KEPT_MAX} from './event_log.js';
import * as format from './format.js';

const SHOWN_MAX = 500;
const LEVELS = [['all', 'All'], ['warning', 'Warnings and errors'], ['error', 'Errors']];
const SIGNS = {info: 'info', warning: 'warn', error: 'bad'};

export function eventsPage(root, {eventLog}) {
    let level = 'all';
    let words = [];
    let isPaused = false;
    let waiting = [];
    let frame;

    const list = h('ol', {class: 'events', 'aria-label': 'Events, newest first'});
    const summary = h('p', {class: 'muted', role: 'status'});
    const empty = h('div', {class: 'empty'}, h('h2', {}, ''), h('p', {}, ''));
    const pauseButton = h('button', {class: 'button', type: 'button', 'aria-pressed': 'false',
        onclick: () => pause(!isPaused)}, 'Pause');

    function matches(event) {
        const text = `${event.name} ${event.text}`.toLowerCase();

        return (level === 'all' || event.level === level ||
            (level === 'warning' && event.level === 'error')) &&
            words.every((word) => text.includes(word));
    }

    function row(event) {
        return h('li', {class: `event ${SIGNS[event.level] ?? 'info'}`},
            h('time', {class: 'muted number', datetime: new Date(event.t).toISOString(),
                title: new Date(event.t).toLocaleString()}, format.time(event.t)),
            h('span', {class: `badge ${SIGNS[event.level] ?? 'info'}`}, event.level),
            h('strong', {class: 'event-name'}, event.name),
            h('span', {class: 'event-text mono'}, event.text));
    }

    function count() {
        const held = waiting.length > 0 ? `, ${waiting.length} waiting` : '';
        const isEmpty = list.childElementCount === 0;

        setText(summary, `${format.plural(eventLog.kept.length, 'event')} since this page was ` +
            `opened${eventLog.kept.length === KEPT_MAX ? ', older ones are gone' : ''}${held}.`);
        empty.hidden = !isEmpty;
        list.hidden = isEmpty;
        setText(empty.firstChild, eventLog.kept.length > 0 ? 'Nothing like that' : 'All quiet');
        setText(empty.lastChild, eventLog.kept.length > 0 ?
            'No event matches. Look for something else, or show all levels.' :
            'Events appear here as they happen: connections, refusals, slow devices, changes.');
    }

    function rebuild() {
        const shown = eventLog.kept.filter(matches).slice(-SHOWN_MAX);

        waiting = [];
        list.replaceChildren(...shown.map(row).reverse());
        count();
    }

    function draw() {
        frame = undefined;
        if (!isPaused) {
            list.prepend(...waiting.splice(0).filter(matches).map(row).reverse());
            while (list.childElementCount > SHOWN_MAX)
                list.lastElementChild.remove();
        }
        count();
    }

    function pause(wanted) {
        isPaused = wanted;
        pauseButton.textContent = isPaused ? 'Go on' : 'Pause';
        pauseButton.setAttribute('aria-pressed', String(isPaused));
        draw();
    }

    function look(text) {
        words = text.toLowerCase().split(/\s+/).filter(Boolean);
        rebuild();
    }

    const bans = bansCard();
    const search = searchBox('Search events', look);
    const unwatch = eventLog.watch((event) => {
        waiting.push(event);
        if (waiting.length > KEPT_MAX)
            waiting.shift();
        frame ??= requestAnimationFrame(draw);
    });

    eventLog.seen();
    eventLog.onunseen(0);
    root.append(
        h('div', {class: 'page-head'}, h('div', {}, h('h1', {}, 'Events'), summary), pauseButton),
        h('div', {class: 'tools'},
            search,
            segmented('Levels', LEVELS, level, (value) => {
                level = value;
                rebuild();
            })),
        bans.element, empty, list);
    rebuild();
    return {
        /** What to look for, when another page's link says so. */
        show(text) {
            if (text) {
                search.querySelector('input').value = text;
                look(text);
            }
        },
        leave() {
            unwatch();
            bans.leave();
            cancelAnimationFrame(frame);
        },
    };
}
