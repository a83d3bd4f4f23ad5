/*
 * webui/admin/config_view.js — the configuration in force: keys and values, and each key's reason
 * where one asks for it. Read from the very text that --print-config prints.
 */
import * as api from './api.js';
import {h, searchBox} from './dom.js';
import {textOf} from './payload.js';

/**
 * The text as entries. Comments belong to the key below them; "[range; default X]" and
 * "[range; default X; live]" are taken out.
 * Pure.
 *
 * @param {string} text
 * @returns {{section: string, key: string, value: string, why: string, range: string,
 *     isDefault: boolean}[]}
 */
export function parseConfig(text) {
    const entries = [];
    const sections = [];
    let comments = [];

    for (const raw of text.split('\n')) {
        const line = raw.trim();

        if (line.startsWith('#')) {
            comments.push(line.slice(1).trim());
            continue;
        }
        const [, opened] = /^([^={]+?)\s*\{$/.exec(line) ?? [];
        const [, key, value] = /^([\w-]+)\s*=\s*(.*)$/.exec(line) ?? [];

        if (opened)
            sections.push(opened);
        else if (line === '}')
            sections.pop();
        else if (key)
            entries.push({section: sections.join(' › '), key, value, ...explain(comments, value)});
        comments = [];
    }
    return entries;
}

function explain(comments, value) {
    const whole = comments.join(' ');
    const [, range = ''] = /\[([^[\]]*; default [^[\]]*)\]\s*$/.exec(whole) ?? [];
    const [, standard] = /; default (.*?)(?:; live.*)?$/.exec(range) ?? [];

    return {range, why: whole.replace(/\[[^[\]]*; default [^[\]]*\]\s*$/, '').trim(),
        isDefault: standard === undefined || standard === value.replace(/^"(.*)"$/, '$1')};
}

function row(entry) {
    return h('details', {class: 'config-row'},
        h('summary', {},
            h('span', {class: 'config-key'}, entry.key),
            h('code', {class: 'config-value'}, entry.value),
            entry.isDefault ? null : h('span', {class: 'badge info'}, 'changed')),
        h('p', {class: 'muted small'}, entry.why || 'No reason is given for it.'),
        entry.range && h('p', {class: 'muted small mono'}, entry.range));
}

function groups(entries) {
    const bySection = new Map();

    for (const entry of entries)
        bySection.set(entry.section, [...(bySection.get(entry.section) ?? []), entry]);
    return [...bySection].map(([section, list]) => h('div', {class: 'config-group'},
        h('h3', {}, section || 'general'), ...list.map(row)));
}

export function configSection() {
    const list = h('div', {class: 'card config'}, h('p', {class: 'muted'}, 'Asking for it …'));
    let entries = [];

    function show(text) {
        const words = text.toLowerCase().split(/\s+/).filter(Boolean);
        const found = entries.filter(({section, key, value, why, isDefault}) => {
            const all = `${section}.${key} ${value} ${why} ${isDefault ? '' : 'changed'}`
                .toLowerCase();

            return words.every((word) => all.includes(word));
        });

        list.replaceChildren(...(found.length > 0 ? groups(found) :
            [h('p', {class: 'muted'}, 'No such key.')]));
    }

    api.get('config').then(({text}) => {
        entries = parseConfig(textOf(text));
        show('');
    }).catch((error) => list.replaceChildren(h('p', {class: 'problem'}, error.message)));

    return h('section', {class: 'config-section', 'aria-label': 'Configuration in force'},
        h('div', {class: 'section-head'}, h('h2', {}, 'Configuration in force'),
            searchBox('Search keys and reasons', show)),
        list);
}
