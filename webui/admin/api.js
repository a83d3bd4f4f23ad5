/*
 * webui/admin/api.js — the server's HTTP API. Its addresses are relative to the page, so the UI
 * works below any path.
 */

import {textOf} from './payload.js';

/** The server said no; message is its sentence. */
export class ApiError extends Error {
    /** @param {number} status  0: no answer  @param {number} [retryAfter]  seconds */
    constructor(message, status, retryAfter) {
        super(message);
        this.status = status;
        this.retryAfter = retryAfter;
    }
}

let onLogOut = () => {};

/** @param {() => void} callback  for when the server does not know us any more */
export function whenLoggedOut(callback) {
    onLogOut = callback;
}

async function ask(path, options, mayLogOut = true) {
    let response;

    try {
        response = await fetch(`api/${path}`, options);
    } catch {
        throw new ApiError('The server does not answer.', 0);
    }
    const value = await response.json().catch(() => ({}));

    if (response.ok)
        return value;
    if (response.status === 401 && mayLogOut)
        onLogOut();
    throw new ApiError(sentence(value.error ?? `The server answered ${response.status}.`),
        response.status, Number(response.headers.get('Retry-After')) || undefined);
}

function sentence(text) {
    const capital = text.charAt(0).toUpperCase() + text.slice(1);

    return /[.!?]$/.test(capital) ? capital : `${capital}.`;
}

export const get = (path) => ask(path, {cache: 'no-store'});

/** The topics of all instances, their names as text. */
export async function topics() {
    const {topics: rows} = await get('topics');

    return rows.map((topic) => ({...topic, name: textOf(topic.name)}));
}

/** JSON and a header of our own: what another site's form cannot send. */
export function post(path, body, mayLogOut = true) {
    return ask(path, {
        method: 'POST',
        headers: {'Content-Type': 'application/json', 'X-Smqd': '1'},
        body: JSON.stringify(body ?? {}),
    }, mayLogOut);
}

/** Who we are, or undefined when nobody has logged in. */
export async function session() {
    try {
        return await ask('session', {cache: 'no-store'}, false);
    } catch (error) {
        if (error.status === 401)
            return undefined;
        throw error;
    }
}
