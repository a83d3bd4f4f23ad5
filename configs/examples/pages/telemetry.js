/* configs/examples/pages/telemetry.js — asks telemetry.lua for a device's readings, and plots them. */
'use strict';

const SERVER = 1; // the script's address
const WIDTH = 600, HEIGHT = 200;
const calls = new Map(); // what is asked and not answered, by id
let lastId = 0;

const smq = new SMQ.Client(SMQ.wsURL('/smq.lsp'));

function say(text) {
    document.getElementById('status').textContent = text;
}

/* A function of the script: a promise of what it returns. */
function call(name, ...args) {
    return new Promise((resolve, reject) => {
        calls.set(++lastId, {resolve, reject});
        smq.pubjson({id: lastId, name, args}, SERVER, '$RpcReq');
    });
}

function onAnswer(answer) {
    const asked = calls.get(answer.id);
    calls.delete(answer.id);
    if (!asked) return;
    if (answer.err === undefined) asked.resolve(answer.rsp);
    else asked.reject(new Error(answer.err));
}

function plot(points) {
    const values = points.map(([, value]) => value);
    const low = Math.min(...values), high = Math.max(...values);
    const begin = points[0][0], span = points.at(-1)[0] - begin || 1;
    document.getElementById('line').setAttribute('points', points.map(([ms, value]) =>
        `${(ms - begin) / span * WIDTH},${HEIGHT - (value - low) / (high - low || 1) * HEIGHT}`)
        .join(' '));
    say(`${points.length} readings, ${low} to ${high}`);
}

async function show(event) {
    event.preventDefault();
    try {
        const points = await call('history', document.getElementById('device').value);
        if (points.length > 0) plot(points);
        else say('No readings in the last hour');
    } catch (error) {
        say(`The script says: ${error.message}`);
    }
}

smq.onconnect = () => {
    smq.subscribe('self', '$RpcResp', {datatype: 'json', onmsg: onAnswer});
    say('Connected');
};
smq.onclose = (message, canReconnect) => {
    say('The broker is away');
    if (canReconnect) return 3000; // try again
};
document.getElementById('form').addEventListener('submit', show);
