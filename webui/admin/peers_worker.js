/*
 * webui/admin/peers_worker.js — asks for the list of all connections and takes it apart beside
 * the page: 50,000 rows are 15 MB of JSON, and the page must go on scrolling.
 *
 * In: the URL. Out: {rows} some at a time, then {done: true}, or {status} when there is no list.
 */
const ROWS_AT_ONCE = 500; /* a few ms for the page to take */

onmessage = async ({data: url}) => {
    try {
        const response = await fetch(url, {cache: 'no-store'});

        if (!response.ok)
            return postMessage({status: response.status});
        /* Clients: who reads a page, this browser too, is connected as well. */
        const peers = (await response.json()).peers.filter(({state}) => state === 'live');

        for (let at = 0; at < peers.length; at += ROWS_AT_ONCE)
            postMessage({rows: peers.slice(at, at + ROWS_AT_ONCE), total: peers.length});
        return postMessage({done: true});
    } catch {
        return postMessage({status: 0});
    }
};
