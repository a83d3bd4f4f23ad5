/* webui/admin/topics.js — the names in each instance, and one of them beside the list. */
import * as api from './api.js';
import {h, icon, searchBox, setText} from './dom.js';
import * as format from './format.js';
import {visible} from './payload.js';
import {TopicPanel} from './topic_panel.js';
import {VirtualList} from './virtual_list.js';

const COLUMNS = [
    {key: 'name', title: 'Topic'},
    {key: 'tid', title: 'TID', hint: 'Its number in the broker'},
    {key: 'instance', title: 'Instance'},
    {key: 'subscribers', title: 'Subscribers', isNumber: true},
];
const REFRESH_MS = 3000;
const REFRESH_SHARE = 10; /* a long list is asked for less often: this times as long as it took */

function fill(cells, topic) {
    const [name, tid, instance, subscribers] = cells;

    setText(name, visible(topic.name));
    setText(tid, topic.tid);
    setText(instance, topic.instance);
    setText(subscribers, format.count(topic.subscribers));
}

export function topicsPage(root, context) {
    const list = new VirtualList({label: 'Topics', name: 'topic-list', columns: COLUMNS, fill,
        onopen: open, onsort: sort});
    const summary = h('p', {class: 'muted', role: 'status'}, 'Asking for the list …');
    const openButton = h('button', {class: 'button primary', type: 'button', onclick: () => open({
        instance: context.session.instances?.[0] ?? '/smq.lsp', name: searched.trim()})});
    const empty = h('div', {class: 'empty', hidden: true}, h('h2', {}), h('p', {}), openButton);
    const sorts = h('select', {'aria-label': 'Sort by', onchange: () => sort(sorts.value)},
        ...COLUMNS.map(({key, title}) => h('option', {value: key},
            `Sorted by ${title.toLowerCase()}`)));
    const panelRoom = h('aside', {class: 'card panel-room', 'aria-label': 'Topic', hidden: true});
    const split = h('div', {class: 'split'}, h('div', {class: 'split-list'}, empty, list.element),
        panelRoom);

    let topics = [];
    let searched = '';
    let sortKey = 'name';
    let isDescending = false;
    let panel;
    let timer;
    let isLoaded = false;
    let turn = 0; /* of refresh(); only the last one called goes on */
    let hasLeft = false;

    function order(a, b) {
        const [x, y] = [a[sortKey] ?? 0, b[sortKey] ?? 0];

        return (x < y ? -1 : x > y ? 1 : a.name < b.name ? -1 : 1) * (isDescending ? -1 : 1);
    }

    function rebuild() {
        const words = searched.toLowerCase().split(/\s+/).filter(Boolean);
        const view = topics.filter((topic) => {
            const text = `${topic.name}\n${topic.tid}\n${topic.instance}`.toLowerCase();

            return words.every((word) => text.includes(word));
        }).sort(order);
        const all = format.plural(topics.length, 'topic');

        list.opened = panel && view.find((topic) => isOpen(topic));
        list.setItems(view);
        list.showSort(sortKey, isDescending);
        if (!isLoaded)
            return;
        setText(summary, words.length > 0 ? `${format.count(view.length)} of ${all}` : all);
        empty.hidden = view.length > 0;
        list.element.hidden = view.length === 0;
        setText(empty.children[0], words.length > 0 ? 'No such topic' : 'No topics yet');
        setText(empty.children[1], words.length > 0 ?
            'Nobody holds this name now. You can open it all the same, listen, and publish.' :
            'A topic is there while somebody subscribes to it or knows its number.');
        openButton.hidden = words.length === 0;
        setText(openButton, `Open “${searched.trim()}”`);
    }

    function isOpen(topic) {
        return topic.name === panel.name && topic.instance === panel.instance;
    }

    async function refresh() {
        const began = performance.now();
        const mine = ++turn;

        clearTimeout(timer);
        try {
            if (context.broker.isUp && !document.hidden) {
                topics = await api.topics();
                isLoaded = true;
                rebuild();
            }
        } catch (error) {
            setText(summary, error.message);
        }
        if (!hasLeft && mine === turn)
            timer = setTimeout(refresh,
                Math.max(REFRESH_MS, REFRESH_SHARE * (performance.now() - began)));
    }

    function sort(key) {
        isDescending = key === sortKey ? !isDescending : key === 'subscribers';
        sortKey = sorts.value = key;
        list.element.scrollTop = 0;
        rebuild();
    }

    function open({instance, name}) {
        location.hash = `#/topics/${encodeURIComponent(JSON.stringify([instance, name]))}`;
    }

    function close() {
        location.hash = '#/topics';
        list.element.focus();
    }

    function read(rest) {
        try {
            const [instance, name] = JSON.parse(rest);

            return typeof instance === 'string' && typeof name === 'string' && name !== '' ?
                {instance, name} : undefined;
        } catch {
            return undefined; /* nothing, or an address somebody typed */
        }
    }

    function showPanel(rest) {
        const wanted = read(rest);

        panel?.destroy();
        panel = undefined;
        panelRoom.replaceChildren();
        panelRoom.hidden = !wanted;
        split.classList.toggle('is-open', Boolean(wanted));
        if (wanted) {
            panel = new TopicPanel(panelRoom, {...wanted, onclose: close});
        }
        rebuild();
    }

    const onEscape = (event) => event.key === 'Escape' && panel &&
        !event.target.closest('[type=search]') && close();

    document.addEventListener('keydown', onEscape);
    root.append(
        h('div', {class: 'page-head'}, h('div', {}, h('h1', {}, 'Topics'), summary)),
        h('div', {class: 'tools'},
            searchBox('Search topics, or name one', (text) => {
                searched = text;
                list.element.scrollTop = 0;
                rebuild();
            }),
            h('label', {class: 'field sort-select'}, h('span', {class: 'visually-hidden'},
                'Sort by'), sorts),
            h('button', {class: 'button', type: 'button', title: 'Ask for the list again',
                onclick: refresh}, icon('refresh'), h('span', {}, 'Refresh'))),
        split);
    const unwatch = context.broker.watch(refresh);

    rebuild();
    return {
        show: showPanel,
        leave() {
            hasLeft = true;
            clearTimeout(timer);
            document.removeEventListener('keydown', onEscape);
            unwatch();
            panel?.destroy();
            list.destroy();
        },
    };
}
