/* webui/admin/devices.js — everyone connected, and one of them beside the list. */
import {DevicePanel} from './device_panel.js';
import {h, icon, searchBox, setText} from './dom.js';
import * as format from './format.js';
import {LIVE_KEYS, Peers} from './peers.js';
import {VirtualList} from './virtual_list.js';

const COLUMNS = [
    {key: 'uid', title: 'Device'},
    {key: 'etid', title: 'ETID', hint: 'Its address in the broker'},
    {key: 'address', title: 'Address'},
    {key: 'transport', title: 'Transport'},
    {key: 'since', title: 'Connected', isNumber: true},
    {key: 'topics', title: 'Topics', isNumber: true},
    {key: 'in', title: 'In / s', hint: 'Messages from it, each second', isNumber: true},
    {key: 'out', title: 'Out / s', hint: 'Messages to it, each second', isNumber: true},
    {key: 'queue', title: 'Queue', hint: 'Waiting to be sent to it', isNumber: true},
    {key: 'dropped', title: 'Drops', hint: 'Messages it did not get', isNumber: true},
];
const REFRESH_MS = 2000;
const RESORT_MS = 15000; /* by a figure that moves: all of them are asked for again */
const STILL_MS = 1000; /* nobody scrolls */

/** "tls · ecc" */
export function transportText(row) {
    return row.certificate && row.certificate !== 'none' ?
        `${row.transport} · ${row.certificate}` : row.transport;
}

const CELLS = [
    (cell, row) => fillName(cell, row),
    (cell, row) => setText(cell, row.etid),
    (cell, row) => setText(cell, row.address),
    (cell, row) => fillBadge(cell, transportText(row), row.tls ? 'good' : ''),
    (cell, row) => setText(cell, row.since ? format.duration((Date.now() - row.since) / 1000) :
        format.NOTHING),
    (cell, row) => setText(cell, format.count(row.topics)),
    (cell, row) => setText(cell, format.short(row.inRate)),
    (cell, row) => setText(cell, format.short(row.outRate)),
    (cell, row) => fillWarning(cell, format.bytes(row.queued_bytes), row.queued_bytes > 0),
    (cell, row) => fillWarning(cell, format.short(row.dropped), row.dropped > 0),
];

function fillName(cell, row) {
    if (!cell.firstChild)
        cell.append(h('strong', {}), h('small', {class: 'muted'}));
    setText(cell.firstChild, row.uid || '(no UID yet)');
    setText(cell.lastChild, row.info);
}

function fillBadge(cell, text, kind) {
    if (!cell.firstChild)
        cell.append(h('span', {}));
    setText(cell.firstChild, text);
    cell.firstChild.className = `badge ${kind}`;
}

function fillWarning(cell, text, isBad) {
    setText(cell, text);
    cell.classList.toggle('is-warned', isBad);
}

export function devicesPage(root, context) {
    const peers = new Peers(onChange);
    const list = new VirtualList({label: 'Devices', name: 'device-list', columns: COLUMNS,
        fill: (cells, row) => cells.forEach((cell, i) => CELLS[i](cell, row)),
        onopen: (row) => open(row.id), onsort: sort});
    const summary = h('p', {class: 'muted', role: 'status'});
    const empty = h('div', {class: 'empty'}, h('h2', {}), h('p', {}), h('code', {hidden: true},
        'smq demo led'));
    const sorts = h('select', {'aria-label': 'Sort by', onchange: () => sort(sorts.value)},
        ...COLUMNS.map(({key, title}) => h('option', {value: key},
            `Sorted by ${title.toLowerCase()}`)));
    const panelRoom = h('aside', {class: 'card panel-room', 'aria-label': 'Device', hidden: true});
    const split = h('div', {class: 'split'},
        h('div', {class: 'split-list'}, empty, list.element), panelRoom);

    let panel;
    let shownView;
    let frame;
    let sortedAt = performance.now();
    let movedAt = 0;
    let isIncomplete = false;

    function onChange() {
        frame ??= requestAnimationFrame(draw);
    }

    function draw() {
        frame = undefined;
        list.opened = peers.rows.get(panel?.id);
        if (shownView !== peers.view) {
            shownView = peers.view;
            list.setItems(shownView);
        }
        list.showSort(peers.sortKey, peers.isDescending);
        showSummary();
        panel?.update();
    }

    function showSummary() {
        const isEmpty = peers.view.length === 0;
        const all = format.plural(peers.rows.size, 'device');

        setText(summary, peers.problem || (!peers.isKnown || (peers.isLoading && isEmpty) ?
            `Asking for the list … ${peers.loadedCount ? format.count(peers.loadedCount) : ''}` :
            peers.words.length > 0 ? `${format.count(peers.view.length)} of ${all}` :
                `${all} connected`));
        empty.hidden = !isEmpty || peers.isLoading || !peers.isKnown;
        list.element.hidden = isEmpty && !peers.isLoading;
        const isSearch = peers.words.length > 0;

        setText(empty.children[0], isSearch ? 'No such device' : 'Nobody is connected');
        setText(empty.children[1], isSearch ?
            'UID, info, address, ETID and transport are searched.' :
            'Devices appear here as soon as they connect. Simulate one:');
        empty.children[2].hidden = isSearch;
    }

    function sort(key) {
        peers.sortBy(key);
        sorts.value = peers.sortKey;
        list.element.scrollTop = 0;
        if (LIVE_KEYS.has(key))
            peers.load();
    }

    function open(id) {
        location.hash = `#/devices/${encodeURIComponent(id)}`;
    }

    function close() {
        location.hash = '#/devices';
        list.element.focus();
    }

    function showPanel(id) {
        panel?.destroy();
        panel = undefined;
        panelRoom.replaceChildren();
        panelRoom.hidden = id === '';
        split.classList.toggle('is-open', id !== '');
        if (id !== '') {
            panel = new DevicePanel(panelRoom, {...context, peers, id, onclose: close});
            panel.update();
        }
        list.setOpened(peers.rows.get(id));
    }

    /* Each REFRESH_MS: counters of what is seen, and all when the order hangs on them. */
    async function refresh() {
        if (!context.broker.isUp || document.hidden || peers.isLoading)
            return;
        const isDue = LIVE_KEYS.has(peers.sortKey) && performance.now() - sortedAt > RESORT_MS &&
            performance.now() - movedAt > STILL_MS;

        if (isIncomplete || isDue) {
            isIncomplete = false;
            sortedAt = performance.now();
            peers.load();
            return;
        }
        const opened = peers.rows.get(panel?.id);

        try {
            await peers.refresh(opened ? [opened, ...list.visible()] : list.visible());
            list.refresh();
            panel?.update();
        } catch {
            /* the line's own signs tell of it */
        }
    }

    list.element.addEventListener('scroll', () => {
        movedAt = performance.now();
    }, {passive: true});
    const onEscape = (event) => event.key === 'Escape' && panel &&
        !event.target.closest('dialog, [type=search]') && close();

    document.addEventListener('keydown', onEscape);
    root.append(
        h('div', {class: 'page-head'}, h('div', {}, h('h1', {}, 'Devices'), summary)),
        h('div', {class: 'tools'},
            searchBox('Search devices', (text) => {
                peers.search(text);
                list.element.scrollTop = 0;
            }),
            h('label', {class: 'field sort-select'}, h('span', {class: 'visually-hidden'},
                'Sort by'), sorts),
            h('button', {class: 'button', type: 'button', title: 'Ask for the whole list again',
                onclick: () => peers.load()}, icon('refresh'), h('span', {}, 'Refresh'))),
        split);
    const unsubscribe = context.broker.subscribe('peers', (changes) => {
        peers.apply(changes);
        if (changes.missed > 0) /* too many came and went to be told of each */
            isIncomplete = true;
    });
    const unwatch = context.broker.watch(() => context.broker.isUp &&
        context.broker.whenSubscribed('peers', () => peers.load()));
    const timer = setInterval(refresh, REFRESH_MS);

    draw();
    return {
        show: showPanel,
        leave() {
            clearInterval(timer);
            cancelAnimationFrame(frame);
            document.removeEventListener('keydown', onEscape);
            unsubscribe();
            unwatch();
            panel?.destroy();
            list.destroy();
            peers.destroy();
        },
    };
}
