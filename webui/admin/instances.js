/*
 * webui/admin/instances.js — the page as a client of the devices' own instances: to send to a
 * device, and to listen to a topic. One connection for each instance, while somebody needs it.
 */
import SMQ from '../smq.mjs';

const RETRY_MS = 2000;

const lines = new Map(); /* path → Line */

class Line {
    constructor(path) {
        this.path = path;
        this.userCount = 0;
        this.directListeners = new Set();
        this.topics = new Map(); /* name → Set of listeners */
        this.problem = ''; /* why there is no connection */
        this.stateListeners = new Set();
        this.smq = SMQ.Client(SMQ.wsURL(path), {ping: 30, info: 'web UI'});
        this.smq.onconnect = this.smq.onreconnect = () => this.setProblem('');
        this.smq.onclose = (message, canreconnect) => {
            this.setProblem(message);
            return canreconnect ? RETRY_MS : undefined;
        };
        this.smq.subscribe('self', {onmsg: (data, ptid, tid, subtid) =>
            this.directListeners.forEach((each) => each(data, ptid, subtid))});
    }

    setProblem(problem) {
        this.problem = problem;
        this.stateListeners.forEach((each) => each(problem));
    }

    /** @param {(data: Uint8Array, from: number, subtid: number) => void} listener */
    onDirect(listener) {
        this.directListeners.add(listener);
        return () => this.directListeners.delete(listener);
    }

    /** @param {(problem: string) => void} listener  called with '' when all is well */
    onState(listener) {
        this.stateListeners.add(listener);
        listener(this.problem);
        return () => this.stateListeners.delete(listener);
    }

    /** @param {(data: Uint8Array, from: number, subtid: number) => void} listener */
    subscribe(topic, listener, onack) {
        const onmsg = (data, ptid, tid, subtid) =>
            this.topics.get(topic)?.forEach((each) => each(data, ptid, subtid));

        if (!this.topics.has(topic))
            this.topics.set(topic, new Set());
        this.topics.get(topic).add(listener);
        this.smq.subscribe(topic, {onmsg, onack});
        return () => {
            const listeners = this.topics.get(topic);

            if (listeners?.delete(listener) && listeners.size === 0) {
                this.topics.delete(topic);
                this.smq.unsubscribe(topic);
            }
        };
    }

    publish(bytes, to, subtopic) {
        this.smq.publish(bytes, to, subtopic || undefined);
    }

    subtopicName(subtid) {
        return subtid === 0 ? '' : this.smq.tid2subtopic(subtid) ?? `#${subtid}`;
    }

    /** We do not need it any more. */
    release() {
        if (--this.userCount > 0)
            return;
        lines.delete(this.path);
        this.smq.disconnect();
    }
}

/** The line to an instance; give it back with release(). @param {string} path */
export function lineTo(path) {
    if (!lines.has(path))
        lines.set(path, new Line(path));
    const line = lines.get(path);

    line.userCount++;
    return line;
}
