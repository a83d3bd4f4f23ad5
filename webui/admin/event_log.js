/*
 * webui/admin/event_log.js — the events since the page was opened, whichever page is shown. A
 * bounded buffer: the oldest go.
 */
import {textOf, visible} from './payload.js';

export const KEPT_MAX = 2000;

/** @typedef {{serial: number, t: number, level: 'info' | 'warning' | 'error', name: string,
 *     text: string}} Event */

export class EventLog {
    /** @param {(unseen: number) => void} onunseen  how many warnings and errors are new */
    constructor(broker, onunseen) {
        this.kept = []; /* oldest first */
        this.serial = 0;
        this.unseenCount = 0;
        this.onunseen = onunseen;
        this.listeners = new Set();
        broker.subscribe('events', (event) => this.add(event));
    }

    add(event) {
        const kept = {...event, text: visible(textOf(event.text)), serial: ++this.serial};

        this.kept.push(kept);
        if (this.kept.length > KEPT_MAX)
            this.kept.shift();
        this.listeners.forEach((listener) => listener(kept));
        if (event.level === 'info')
            return;
        this.unseenCount++;
        this.onunseen(this.unseenCount);
    }

    /** Somebody looks at them. */
    seen() {
        this.unseenCount = 0;
        return 0;
    }

    /** @param {(event: Event) => void} listener */
    watch(listener) {
        this.listeners.add(listener);
        return () => this.listeners.delete(listener);
    }
}
