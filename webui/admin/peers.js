/*
 * webui/admin/peers.js — everyone connected, as the Devices page wants to see them.
 *
 * The whole list is asked for once; after that the broker tells who came and who went, and the
 * page asks for the counters of the rows it shows. Sorting everything is for a click; who comes is
 * put where it belongs.
 */
import * as api from './api.js';
import {textOf, visible} from './payload.js';

const IDS_AT_ONCE = 200;

/** @typedef {Record<string, any>} Row  as api/peers has it, and inRate, outRate, at */

const lower = (row) => (row.lower ??= row.uid.toLowerCase());
const haystack = (row) => (row.haystack ??=
    [row.uid, row.info, row.address, row.etid, row.instance, row.transport, row.identity ?? '']
        .join('\n').toLowerCase());
const addressKey = (row) => (row.addressKey ??= row.address.includes(':') ? `~${row.address}` :
    row.address.split('.').map((part) => part.padStart(3, '0')).join('.'));

/* What each column is sorted by. */
const KEYS = {
    uid: lower,
    etid: (row) => row.etid,
    address: addressKey,
    transport: (row) => `${row.transport} ${row.certificate ?? ''}`,
    since: (row) => -row.since,
    topics: (row) => row.topics,
    in: (row) => row.inRate ?? 0,
    out: (row) => row.outRate ?? 0,
    queue: (row) => row.queued_bytes,
    dropped: (row) => row.dropped,
};

export const LIVE_KEYS = new Set(['topics', 'in', 'out', 'queue', 'dropped']);

export class Peers {
    /** @param {() => void} onchange  view, count or isLoading changed */
    constructor(onchange) {
        this.onchange = onchange;
        this.rows = new Map(); /* id → Row */
        this.view = []; /* sorted and filtered */
        this.sortKey = 'uid';
        this.isDescending = false;
        this.words = [];
        this.isLoading = false;
        this.isKnown = false; /* there has been a whole list */
        this.problem = '';
    }

    destroy() {
        this.worker?.terminate();
    }

    /* ---- what is there ---- */

    /** Ask for all of them. */
    load() {
        if (this.isLoading)
            return;
        this.isLoading = true;
        this.fresh = new Set(); /* ids of this list, and of those who came meanwhile */
        this.gone = new Set(); /* who went meanwhile */
        this.worker ??= new Worker(new URL('peers_worker.js', import.meta.url));
        this.worker.onmessage = ({data}) => this.onPart(data);
        this.worker.postMessage(new URL('api/peers', document.baseURI).href);
        this.onchange();
    }

    onPart({rows, done, status}) {
        if (rows) {
            rows.forEach((row) => this.gone.has(row.id) || this.fresh.add(row.id) && this.put(row));
            this.loadedCount = this.fresh.size;
            this.onchange();
            return;
        }
        this.isLoading = false;
        this.isKnown ||= done === true;
        this.problem = done ? '' : status === 0 ? 'The server does not answer.' :
            `The list of devices is not to be had (${status}).`;
        if (done)
            [...this.rows.keys()].forEach((id) => this.fresh.has(id) || this.rows.delete(id));
        if (status === 401)
            api.get('session').catch(() => {});
        this.rebuild();
    }

    /** Counters of some rows. @param {Row[]} rows */
    async refresh(rows) {
        const ids = rows.slice(0, IDS_AT_ONCE).map((row) => row.id);

        if (ids.length === 0)
            return;
        const {peers} = await api.get(`peers?ids=${ids.join(',')}`);

        peers.forEach((row) => this.rows.has(row.id) && this.put(row));
    }

    /* A row stays the same object, for those who hold it. */
    put(row, at = performance.now()) {
        const old = this.rows.get(row.id);

        for (const name of ['uid', 'info', 'identity'])
            if (row[name])
                row[name] = visible(textOf(row[name]));
        if (!old) {
            row.at = at;
            this.rows.set(row.id, row);
            return row;
        }
        const seconds = (at - old.at) / 1000;

        if (seconds > 0.2) {
            old.inRate = Math.max(0, (row.received - old.received) / seconds);
            old.outRate = Math.max(0, (row.sent - old.sent) / seconds);
            old.at = at;
        }
        return Object.assign(old, row);
    }

    /** Who came, who went. @param {{joined: Row[], left: string[]}} changes */
    apply({joined, left}) {
        const gone = new Set(left);
        const wasLoading = this.isLoading;

        for (const id of left) {
            const row = this.rows.get(id);

            if (row)
                row.isGone = true;
            this.rows.delete(id);
            if (wasLoading)
                this.gone.add(id) && this.fresh.delete(id);
        }
        const fresh = joined.filter((row) => !gone.has(row.id) && !this.rows.has(row.id))
            .map((row) => this.put(row));

        if (wasLoading) {
            joined.forEach((row) => this.fresh.add(row.id));
            return;
        }
        this.view = merge(this.view.filter((row) => !row.isGone),
            fresh.filter((row) => this.matches(row)).sort(this.order()), this.order());
        this.onchange();
    }

    /* ---- what is wanted ---- */

    sortBy(key) {
        this.isDescending = key === this.sortKey ? !this.isDescending :
            ['in', 'out', 'queue', 'dropped', 'topics'].includes(key);
        this.sortKey = key;
        this.rebuild();
    }

    search(text) {
        this.words = text.toLowerCase().split(/\s+/).filter(Boolean);
        this.rebuild();
    }

    matches(row) {
        return this.words.every((word) => haystack(row).includes(word));
    }

    order() {
        const key = KEYS[this.sortKey];
        const sign = this.isDescending ? -1 : 1;

        return (a, b) => {
            const [x, y] = [key(a), key(b)];

            return x < y ? -sign : x > y ? sign : a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
        };
    }

    rebuild() {
        const rows = [...this.rows.values()];

        this.view = (this.words.length ? rows.filter((row) => this.matches(row)) : rows)
            .sort(this.order());
        this.onchange();
    }
}

/** Two sorted lists as one. */
function merge(a, b, order) {
    if (b.length === 0)
        return a;
    const all = [];
    let at = 0;

    for (const row of b) {
        while (at < a.length && order(a[at], row) <= 0)
            all.push(a[at++]);
        all.push(row);
    }
    return all.concat(a.slice(at));
}
