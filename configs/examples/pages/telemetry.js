/* configs/examples/pages/telemetry.js — asks telemetry.lua for a device's readings, and plots them. */
'use strict';

const SERVER = 1; // the script's address
const WIDTH = 600, HEIGHT = 200;
const LATER_MS = 2000; // when a new reading is in the database
const calls = new Map(); // what is asked and not answered, by id
const element = (id) => document.getElementById(id);
let lastId = 0;
let shown = ''; // the device in the plot
let timer = 0;

const smq = new SMQ.Client(SMQ.wsURL('/smq.lsp'));

function say(text) {
    element('status').textContent = text;
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
    if (points.length === 1) points = [[points[0][0] - 10000, points[0][1]], points[0]]; // a line
    const values = points.map(([, value]) => value);
    const low = Math.min(...values), high = Math.max(...values);
    const begin = points[0][0], end = points.at(-1)[0];
    const x = (ms) => (ms - begin) / (end - begin || 1) * WIDTH;
    const y = (value) => HEIGHT - (value - low) / (high - low || 1) * HEIGHT;
    const time = (ms) => new Date(ms).toLocaleTimeString([], {hour: '2-digit', minute: '2-digit'});
    const number = (value) => value.toLocaleString([], {maximumFractionDigits: 2});

    element('line').setAttribute('points',
        points.map(([ms, value]) => `${x(ms)},${y(value)}`).join(' '));
    element('low').textContent = number(low);
    element('high').textContent = number(high);
    element('begin').textContent = time(begin);
    element('end').textContent = time(end);
    say(`${shown}: ${number(values.at(-1))} at ${time(end)}`);
}

async function show() {
    try {
        const points = await call('history', shown);

        element('plot').hidden = points.length === 0;
        if (points.length > 0) plot(points);
        else say(`No readings of ${shown} in the last hour`);
    } catch (error) {
        say(`The script says: ${error.message}`);
    }
}

/* Something new of the device in the plot: look again soon, once for all that comes meanwhile. */
function onReading(reading) {
    if (reading.device !== shown || timer) return;
    timer = setTimeout(() => {
        timer = 0;
        show();
    }, LATER_MS);
}

smq.onconnect = () => {
    smq.subscribe('self', '$RpcResp', {datatype: 'json', onmsg: onAnswer});
    smq.subscribe('telemetry', {datatype: 'json', onmsg: onReading});
    say('Connected');
};
smq.onclose = (message, canReconnect) => {
    calls.clear(); // nobody answers these any more
    say('The broker is away');
    if (canReconnect) return 3000; // try again
};
element('form').addEventListener('submit', (event) => {
    event.preventDefault();
    shown = element('device').value;
    show();
});
