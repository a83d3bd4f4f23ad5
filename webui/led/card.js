/*
 * webui/led/card.js — one device on the page: its name, its temperature, its LEDs.
 *
 * A switch shows what the reader wants at once, and is busy until the device says that it has
 * done it. When it does not, the switch goes back, and a note says so.
 */

const READINGS_MAX = 60;
const READINGS_WIDTH_MIN = 12; /* of the curve: one or two readings are no curve yet */
const ANSWER_MS = 5000;

function fromTemplate(id) {
    return document.getElementById(id).content.firstElementChild.cloneNode(true);
}

function degrees(value) {
    return value.toLocaleString(undefined, {minimumFractionDigits: 1, maximumFractionDigits: 1});
}

/* What glows is not what a style sheet means by the word. Other colours are the device's own. */
const SHADES = {
    red: '#ff3b30', orange: '#ff8a00', yellow: '#ffc400', green: '#1fc45a', blue: '#2f80ff',
    white: '#e8eef6',
};
const SHADE_UNKNOWN = '#8a97a8';

function shade(color) {
    const word = color.toLowerCase();

    if (Object.hasOwn(SHADES, word))
        return SHADES[word];
    return CSS.supports('color', color) ? color : SHADE_UNKNOWN;
}

export class Card {
    /**
     * @param etid   the device's address
     * @param order  called as (led id, on) when the reader switches
     */
    constructor(etid, order) {
        this.etid = etid;
        this.order = order;
        this.name = '';
        this.leds = new Map(); /* id → {led, input, note, timer} */
        this.readings = [];
        this.root = fromTemplate('device-template');
        this.find('.device-etid').textContent = `#${etid}`;
        this.find('.all-on').addEventListener('click', () => this.switchAll(true));
        this.find('.all-off').addEventListener('click', () => this.switchAll(false));
    }

    get onCount() {
        return [...this.leds.values()].filter(({led}) => led.on).length;
    }

    find(selector) {
        return this.root.querySelector(selector);
    }

    /* What the device says of itself; it may say it again, and differently. */
    show(device) {
        this.forgetOrders();
        this.name = device.name;
        this.find('.device-name').textContent = device.name;
        this.find('.device-ip').textContent = device.ip === '' ? '' : `${device.ip} ·`;
        if (device.temperature !== undefined)
            this.showTemperature(device.temperature);
        this.leds.clear();
        this.find('.leds').replaceChildren(...device.leds.map((led) => this.makeLed(led)));
        this.find('.all').hidden = device.leds.length < 2;
    }

    makeLed(led) {
        const row = fromTemplate('led-template');
        const input = row.querySelector('input');

        row.querySelector('.led-name').textContent = led.name;
        row.querySelector('.bulb').style.setProperty('--led', shade(led.color));
        input.checked = led.on;
        input.addEventListener('change', () => this.ask(led.id, input.checked));
        this.leds.set(led.id, {led, input, note: row.querySelector('.led-note')});
        return row;
    }

    ask(id, on) {
        const entry = this.leds.get(id);

        clearTimeout(entry.timer);
        entry.note.textContent = '';
        entry.input.checked = on;
        entry.input.setAttribute('aria-busy', 'true');
        entry.timer = setTimeout(() => {
            this.settle(entry);
            entry.note.textContent = 'no answer';
        }, ANSWER_MS);
        this.order(id, on);
    }

    switchAll(on) {
        for (const [id, {led}] of this.leds) {
            if (led.on !== on)
                this.ask(id, on);
        }
    }

    /* Show what is, whatever was asked for. */
    settle(entry) {
        clearTimeout(entry.timer);
        entry.input.removeAttribute('aria-busy');
        entry.input.checked = entry.led.on;
    }

    forgetOrders() {
        this.leds.forEach((entry) => this.settle(entry));
    }

    /* The device has switched an LED. Returns its name, or undefined when it has no such LED. */
    showSwitch(id, on) {
        const entry = this.leds.get(id);

        if (!entry)
            return undefined;
        entry.led.on = on;
        entry.note.textContent = '';
        this.settle(entry);
        return entry.led.name;
    }

    showTemperature(value) {
        this.readings = [...this.readings, value].slice(-READINGS_MAX);
        const least = Math.min(...this.readings) - 0.25; /* noise is no mountain */
        const most = Math.max(...this.readings) + 0.25;
        const width = Math.max(this.readings.length, READINGS_WIDTH_MIN);
        const points = this.readings.map((reading, i) => [
            100 * (i + width - this.readings.length) / (width - 1),
            24 - 24 * (reading - least) / (most - least),
        ].map((number) => number.toFixed(1)).join());

        this.find('.temperature').hidden = false;
        this.find('.temperature-value').textContent = `${degrees(value)} °C`;
        this.find('.spark polyline').setAttribute('points', points.join(' '));
    }
}
