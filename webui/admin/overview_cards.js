/*
 * webui/admin/overview_cards.js — the Overview's cards. Each is {element, update(stats)}.
 */
import {h, setText} from './dom.js';
import * as format from './format.js';
import {sum} from './history.js';

function card(title, ...children) {
    return h('section', {class: 'card info-card'}, h('h3', {}, title), ...children);
}

/**
 * Names with a bar and a figure. Rows are kept from one second to the next.
 * @param {{colour?: string}} [options]
 */
function bars({colour = '--chart-1'} = {}) {
    const rows = new Map();
    const element = h('ul', {class: 'bars'});

    element.style.setProperty('--bar', `var(${colour})`);
    return {
        element,
        /** @param {{name: string, share: number, text: string}[]} values */
        update(values) {
            for (const {name, share, text} of values) {
                if (!rows.has(name)) {
                    const parts = {figure: h('span', {class: 'number'}), bar: h('span', {})};

                    rows.set(name, parts);
                    element.append(h('li', {}, h('span', {class: 'bar-name'}, name), parts.figure,
                        h('span', {class: 'bar'}, parts.bar)));
                }
                const {figure, bar} = rows.get(name);

                setText(figure, text);
                bar.style.setProperty('--share', String(Number.isFinite(share) ? share : 0));
            }
        },
    };
}

const TRANSPORTS = [['tcp', 'TCP'], ['tls', 'TLS'], ['ws', 'WebSocket'],
    ['wss', 'WebSocket over TLS']];

export function connectionsCard() {
    const kinds = bars();
    const certificates = bars({colour: '--chart-2'});

    return {
        element: card('Connections by kind', kinds.element,
            h('h4', {}, 'Certificate served'), certificates.element),
        update({connections}) {
            const {open, ecc, rsa} = connections;
            const row = (key, name, all) => ({name, share: connections[key] / all,
                text: format.count(connections[key])});

            kinds.update(TRANSPORTS.map(([key, name]) => row(key, name, open)));
            certificates.update([row('ecc', 'ECC', ecc + rsa), row('rsa', 'RSA', ecc + rsa)]);
        },
    };
}

/** Facts that are looked up by name. */
function facts(names) {
    const values = names.map((name) => [name, h('dd', {class: 'number'}, format.NOTHING)]);

    return {
        element: h('dl', {class: 'facts spread-facts'},
            ...values.flatMap(([name, value]) => [h('dt', {}, name), value])),
        update: (texts) => values.forEach(([, value], i) => setText(value, texts[i])),
    };
}

export function handshakesCard() {
    const rates = facts(['Accepted', 'TLS handshakes', 'of these, resumed']);
    const failed = reasonTable('No handshake has failed.');

    return {
        element: card('Handshakes', rates.element, h('h4', {}, 'Failed'), failed.element),
        update(stats) {
            const {accepted, handshakes, resumed} = stats.rates;
            const share = handshakes > 0 ? ` (${format.percent(resumed / handshakes)})` : '';

            rates.update([`${format.short(accepted)}/s`, `${format.short(handshakes)}/s`,
                `${format.short(resumed)}/s${share}`]);
            failed.update(stats.tls_failed);
        },
    };
}

export function memoryCard() {
    const total = h('p', {class: 'number'});
    const used = h('span', {});
    const meter = h('div', {class: 'meter'}, used);
    const kinds = bars({colour: '--chart-4'});

    return {
        element: card('Memory by consumer', h('div', {class: 'stack tight'}, total, meter),
            kinds.element),
        update({memory}) {
            const share = memory.rss_bytes / memory.limit_bytes;

            setText(total, `${format.bytes(memory.rss_bytes)} of ${
                format.bytes(memory.limit_bytes)}; allocated: ${format.bytes(memory.used_bytes)}`);
            meter.classList.toggle('is-high', share > 0.9);
            used.style.setProperty('--share', String(Math.min(1, share)));
            kinds.update([...memory.kinds].sort((a, b) => b.bytes - a.bytes).map((kind) => ({
                name: kind.name, share: kind.bytes / memory.used_bytes,
                text: format.bytes(kind.bytes)})));
        },
    };
}

/** Counters with a reason each; those at zero are left out. */
function reasonTable(emptyText) {
    const rows = new Map();
    const body = h('tbody', {});
    const table = h('table', {class: 'reasons', hidden: true},
        h('thead', {}, h('tr', {}, h('th', {}, 'Reason'), h('th', {class: 'number'}, 'Total'),
            h('th', {class: 'number'}, 'Now'))), body);
    const empty = h('p', {class: 'muted small'}, emptyText);

    function rowOf({name, help}) {
        if (!rows.has(name)) {
            const row = {total: h('td', {class: 'number'}), rate: h('td', {class: 'number'})};

            row.element = h('tr', {}, h('td', {},
                h('span', {class: 'reason'}, format.words(name)),
                help && h('small', {class: 'muted'}, help)), row.total, row.rate);
            rows.set(name, row);
            body.append(row.element);
        }
        return rows.get(name);
    }

    return {
        element: h('div', {}, empty, table),
        update(reasons) {
            const counted = (reasons ?? []).filter((reason) => reason.total > 0);

            for (const reason of counted) {
                const {total, rate} = rowOf(reason);

                setText(total, format.short(reason.total));
                setText(rate, `${format.short(reason.rate)}/s`);
                rate.classList.toggle('muted', reason.rate === 0);
            }
            table.hidden = counted.length === 0;
            empty.hidden = counted.length > 0;
        },
    };
}

/** @param {string} title  @param {'drops' | 'closed'} key of stats  @param {string} emptyText */
export function reasonsCard(title, key, emptyText) {
    const table = reasonTable(emptyText);
    const total = h('span', {class: 'badge number'});

    return {
        element: h('section', {class: 'card info-card'},
            h('div', {class: 'spread'}, h('h3', {}, title), total), table.element),
        update(stats) {
            setText(total, format.short(sum(stats[key], (reason) => reason.total)));
            table.update(stats[key]);
        },
    };
}

const SOON_DAYS = 30;

function certificateRow({kind, subject, days_left: days}) {
    return h('li', {}, h('span', {class: 'badge'}, kind.toUpperCase()), h('span', {}, subject),
        h('span', {class: `badge number ${days < 0 ? 'bad' : days < SOON_DAYS ? 'warn' : 'good'}`},
            days < 0 ? 'expired' : format.plural(days, 'day')));
}

export function certificatesCard() {
    const list = h('ul', {class: 'certificates'});
    const none = h('p', {class: 'muted small'}, 'None: no listener speaks TLS.');
    const reload = h('p', {class: 'small'});
    const element = card('Certificates', list, none, h('h4', {}, 'Last reload'), reload);
    let shown;

    return {
        element,
        update({certificates, reload: last}) {
            const text = JSON.stringify([certificates, last]);

            element.hidden = !certificates;
            if (shown === text || !certificates)
                return;
            shown = text;
            list.replaceChildren(...certificates.map(certificateRow));
            none.hidden = certificates.length > 0;
            reload.replaceChildren(last?.at ? h('span', {class: `badge ${last.ok ? 'good' : 'bad'}`},
                last.ok ? 'took effect' : 'refused') :
                h('span', {class: 'muted'}, 'None since the start.'),
            last?.at ? ` ${format.date(last.at)}: ${last.text}` : '');
        },
    };
}
