/*
 * webui/admin/broker.js — the page's line to the admin instance: one SMQ client, and whoever in
 * the page wants a topic. It comes back by itself for as long as the log-in holds.
 */
import SMQ from '../smq.mjs';

import * as api from './api.js';

const RETRY_MS = 1000; /* doubles, up to ... */
const RETRY_MS_MAX = 8000;
const PING_S = 10; /* a line that is dead without a word is found after ... */
const PONG_S = 5;

export class Broker {
    /** @param {{smq: string}} session */
    constructor(session) {
        this.listeners = new Map(); /* topic → Set of functions */
        this.stateListeners = new Set();
        this.isUp = false;
        this.isOver = false;
        this.failedCount = 0;
        this.retryAt = 0; /* ms of performance.now() */
        this.message = '';
        this.smq = SMQ.Client(SMQ.wsURL(session.smq), {ping: PING_S, pong: PONG_S,
            info: 'web UI'});
        this.smq.onconnect = this.smq.onreconnect = () => this.onUp();
        this.smq.onclose = (message, canreconnect) => this.onDown(message, canreconnect);
    }

    /** @param {() => void} listener  called now and whenever isUp, message or retryAt change */
    watch(listener) {
        this.stateListeners.add(listener);
        listener();
        return () => this.stateListeners.delete(listener);
    }

    /**
     * Receive a topic's JSON.
     * @param {string} topic
     * @param {(value: any) => void} listener
     * @returns {() => void} that ends it
     */
    subscribe(topic, listener) {
        if (!this.listeners.has(topic)) {
            this.listeners.set(topic, new Set());
            this.ask(topic);
        }
        this.listeners.get(topic).add(listener);
        return () => this.unsubscribe(topic, listener);
    }

    /**
     * @param {string} topic  to which the page subscribes
     * @param {() => void} done  called once the broker has answered: who asks for a list from here on
     *     hears of whatever is not in it
     */
    whenSubscribed(topic, done) {
        this.ask(topic, () => this.listeners.has(topic) && done());
    }

    ask(topic, onack) {
        this.smq.subscribe(topic, {datatype: 'json', onack, onmsg: (value) =>
            this.listeners.get(topic)?.forEach((each) => each(value))});
    }

    unsubscribe(topic, listener) {
        const listeners = this.listeners.get(topic);

        if (!listeners?.delete(listener) || listeners.size > 0)
            return;
        this.listeners.delete(topic);
        if (!this.isOver)
            this.smq.unsubscribe(topic);
    }

    close() {
        this.isOver = true;
        this.stateListeners.clear();
        this.smq.disconnect();
    }

    onUp() {
        this.isUp = true;
        this.failedCount = 0;
        this.tell();
    }

    onDown(message, canreconnect) {
        const delay = Math.min(RETRY_MS * 2 ** this.failedCount, RETRY_MS_MAX);

        this.isUp = false;
        this.failedCount++;
        this.message = message;
        this.retryAt = canreconnect ? performance.now() + delay : Infinity;
        this.tell();
        api.get('session').catch(() => {}); /* a 401 is told by api.js itself */
        return delay;
    }

    tell() {
        this.stateListeners.forEach((listener) => listener());
    }
}
