/* webui/admin/bans.js — banned addresses: who, why, for how long; and the end of a ban. */
import * as api from './api.js';
import {h, setText, toast} from './dom.js';
import * as format from './format.js';

const REFRESH_MS = 5000;

/**
 * A card with the list; hidden while nobody is banned.
 *
 * @returns {{element: HTMLElement, leave: () => void}}
 */
export function bansCard() {
    const summary = h('p', {class: 'muted small', role: 'status'});
    const body = h('tbody', {});
    const element = h('section', {class: 'card bans', 'aria-label': 'Banned addresses', hidden: true},
        h('div', {class: 'card-head'}, h('h2', {}, 'Banned addresses'), summary),
        h('div', {class: 'table-wrap', tabindex: '0', role: 'region', 'aria-label': 'Bans'},
            h('table', {class: 'table'},
                h('thead', {}, h('tr', {}, h('th', {}, 'Address'), h('th', {}, 'Why'),
                    h('th', {class: 'number'}, 'Ends in'), h('th', {}))),
                body)));

    function row(ban) {
        return h('tr', {},
            h('th', {scope: 'row', class: 'mono'}, ban.address),
            h('td', {}, ban.cause),
            h('td', {class: 'number'}, format.duration(ban.seconds)),
            h('td', {class: 'number'}, h('button', {class: 'button', type: 'button',
                'aria-label': `Lift the ban of ${ban.address}`,
                onclick: () => lift(ban.address)}, 'Lift')));
    }

    async function refresh() {
        try {
            const {bans} = await api.get('bans');

            bans.sort((a, b) => a.seconds - b.seconds);
            element.hidden = bans.length === 0;
            setText(summary, format.plural(bans.length, 'address', 'addresses'));
            body.replaceChildren(...bans.map(row));
        } catch {
            /* the page says by itself that the server is away */
        }
    }

    async function lift(address) {
        try {
            await api.post('bans/lift', {address});
            toast(`${address} may come back.`);
        } catch (error) {
            toast(error.message, 'bad');
        }
        await refresh();
    }

    const timer = setInterval(refresh, REFRESH_MS);

    refresh();
    return {element, leave: () => clearInterval(timer)};
}
