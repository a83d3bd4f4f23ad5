/*
 * webui/led/led.js — the LED page: every LED device of this broker, live, and its switches.
 *
 * A device is its address (ETID): it announces itself, is observed, and leaves the page when it
 * leaves the broker. The page works with devices of the original's ecosystem as with
 * `smq demo led`; ?broker=/other.lsp goes to another broker of this server.
 */
import SMQ from '/rtl/smq.mjs';

import {Card} from './card.js';
import {DEVICE, DISPLAY, TEMP, readDevice, readSwitch, readTemperature, switchCommand}
    from './wire.js';

const RETRY_MS = 1000; /* doubles, up to ... */
const RETRY_MS_MAX = 15000;
const NEWS_MAX = 20;

const cards = new Map(); /* by ETID */
const element = (id) => document.getElementById(id);

let smq;
let failedCount = 0;
let countdown;

/* ---- what the page says ---- */

function showStatus(sign, text) {
    element('status').className = `badge ${sign}`;
    element('status-text').textContent = text;
}

function showBanner(sign, text, buttonText) {
    element('banner').className = `banner ${sign}`;
    element('banner-text').textContent = text;
    element('banner-button').textContent = buttonText;
    element('banner').hidden = false;
}

/* For those who do not see it. */
function tell(text) {
    const line = document.createElement('p');

    line.textContent = text;
    element('news').append(line);
    while (element('news').childElementCount > NEWS_MAX)
        element('news').firstElementChild.remove();
}

function showCount(isConnected) {
    const all = [...cards.values()];
    const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

    element('empty').hidden = !isConnected || all.length > 0;
    if (isConnected)
        element('summary').textContent = all.length === 0 ? 'None is connected.' :
            `${all.length} connected, ${sum(all.map((card) => card.onCount))} of ` +
            `${sum(all.map((card) => card.leds.size))} lit`;
}

/* ---- devices ---- */

function onDevice(info, etid) {
    const device = readDevice(info);

    if (!device)
        return;
    const isNew = !cards.has(etid);
    const card = cards.get(etid) ?? new Card(etid, (id, on) =>
        smq.publish(switchCommand(id, on), etid));

    card.show(device);
    if (isNew) {
        cards.set(etid, card);
        smq.observe(etid, () => removeDevice(etid));
        tell(`${device.name} is here`);
    }
    place(card);
    showCount(true);
}

/* By name, and by address among namesakes. Moved only when it must: moving loses the focus. */
function place(card) {
    const before = (a, b) => a.name.localeCompare(b.name, undefined, {numeric: true}) ||
        a.etid - b.etid;
    const next = [...cards.values()].filter((other) => other !== card && before(card, other) < 0)
        .sort(before)[0];

    if (!card.root.isConnected || card.root.nextElementSibling !== (next?.root ?? null))
        element('devices').insertBefore(card.root, next?.root ?? null);
}

function removeDevice(etid) {
    const card = cards.get(etid);

    if (!card)
        return;
    card.forgetOrders();
    card.root.remove();
    cards.delete(etid);
    tell(`${card.name} has gone`);
    showCount(true);
}

function onSwitch(bytes, etid) {
    const change = readSwitch(bytes);
    const name = change && cards.get(etid)?.showSwitch(change.id, change.on);

    if (!name)
        return;
    tell(`${cards.get(etid).name}: ${name} is ${change.on ? 'on' : 'off'}`);
    showCount(true);
}

function onTemperature(bytes, etid) {
    const value = readTemperature(bytes);

    if (value !== undefined)
        cards.get(etid)?.showTemperature(value);
}

/* ---- the connection ---- */

function onConnect() {
    failedCount = 0;
    clearInterval(countdown);
    [...cards.keys()].forEach((etid) => smq.unobserve(etid));
    cards.clear();
    element('devices').replaceChildren();
    element('devices').classList.remove('is-stale');
    element('devices').inert = false;
    element('banner').hidden = true;
    element('refresh').disabled = false;
    showStatus('good', 'Live');
    smq.publish('Hello', DISPLAY);
    /* Nobody says that there is nobody: give them a moment before we do. */
    setTimeout(() => smq.gettid() && showCount(true), 1000);
}

function onClose(message, canreconnect) {
    const delay = Math.min(RETRY_MS * 2 ** failedCount++, RETRY_MS_MAX);

    cards.forEach((card) => card.forgetOrders());
    element('devices').classList.add('is-stale');
    element('devices').inert = true;
    element('refresh').disabled = true;
    element('empty').hidden = true;
    element('summary').textContent = cards.size > 0 ? 'As they were before.' : '';
    if (!canreconnect) {
        showStatus('bad', 'Disconnected');
        showBanner('bad', `The broker has ended the connection: ${message}.`, 'Connect again');
        return undefined;
    }
    showStatus('warn', 'Connection lost');
    showCountdown(message, delay);
    return delay;
}

function showCountdown(message, delay) {
    const end = Date.now() + delay;
    const show = () => {
        const seconds = Math.ceil((end - Date.now()) / 1000);

        showBanner('warn', `${message[0].toUpperCase()}${message.slice(1)}. ` +
            (seconds > 0 ? `Trying again in ${seconds} s.` : 'Trying again.'), 'Try now');
        if (seconds <= 0)
            clearInterval(countdown);
    };

    clearInterval(countdown);
    countdown = setInterval(show, 1000);
    show();
}

/* From wherever the reader's terminal is. */
function showDemoCommand(path) {
    const [scheme, port] = location.protocol === 'https:' ? ['tls', 443] : ['tcp', 80];

    element('demo').textContent = `smq demo led --url ${scheme}://${location.hostname}:` +
        `${location.port || port}${path}`;
}

function connect() {
    const path = new URLSearchParams(location.search).get('broker') ?? '/smq.lsp';

    showDemoCommand(path);
    clearInterval(countdown);
    smq?.disconnect();
    showStatus('info', 'Connecting');
    smq = SMQ.Client(SMQ.wsURL(path), {info: 'LED page'});
    smq.onconnect = smq.onreconnect = onConnect;
    smq.onclose = onClose;
    smq.subscribe(DEVICE, 'devinfo', {datatype: 'json', onmsg: onDevice});
    smq.subscribe('self', 'devinfo', {datatype: 'json', onmsg: onDevice});
    smq.subscribe(DEVICE, 'led', {onmsg: onSwitch});
    smq.subscribe(TEMP, {onmsg: onTemperature});
}

/* The page may also have been copied to where no web UI is beside it. */
async function showWayBack() {
    const ui = await fetch('../admin/main.js', {method: 'HEAD'});

    element('back').hidden = !ui.ok;
}

element('refresh').addEventListener('click', () => smq.publish('Hello', DISPLAY));
element('banner-button').addEventListener('click', connect);
connect();
showWayBack().catch(() => {}); /* without an answer there is no way back */
