/* webui/admin/format.js — figures as people read them. Pure. */

const whole = new Intl.NumberFormat('en', {maximumFractionDigits: 0});
const clock = new Intl.DateTimeFormat('en-GB', {hour: '2-digit', minute: '2-digit',
    second: '2-digit'});
const clockShort = new Intl.DateTimeFormat('en-GB', {hour: '2-digit', minute: '2-digit'});
const dateClock = new Intl.DateTimeFormat('en-GB', {day: 'numeric', month: 'short',
    hour: '2-digit', minute: '2-digit'});

export const NOTHING = '–';

const isMissing = (value) => value === undefined || value === null || Number.isNaN(value);

/** With a step of a thousand between the units, three digits that count. */
function scaled(value, units, step = 1000) {
    let unit = 0;
    let rest = Math.abs(value);

    while (rest >= step && unit < units.length - 1) {
        rest /= step;
        unit++;
    }
    const digits = unit === 0 ? (rest < 10 && rest % 1 !== 0 ? 1 : 0) :
        rest < 10 ? 2 : rest < 100 ? 1 : 0;
    const text = `${value < 0 ? '-' : ''}${rest.toFixed(digits)}`;

    return units[unit] ? `${text}\u202f${units[unit]}` : text;
}

/** 20,003 */
export function count(value) {
    return isMissing(value) ? NOTHING : whole.format(value);
}

/** 20.0 k */
export function short(value) {
    return isMissing(value) ? NOTHING : scaled(value, ['', 'k', 'M', 'G']);
}

/** 61.4 MiB */
export function bytes(value) {
    return isMissing(value) ? NOTHING : scaled(value, ['B', 'KiB', 'MiB', 'GiB', 'TiB'], 1024);
}

/** Microseconds: 74 µs, 1.20 ms */
export function micros(value) {
    return isMissing(value) ? NOTHING : scaled(value, ['µs', 'ms', 's']);
}

/** A share of one: 35 %, 0.4 %, <0.1 % */
export function percent(value) {
    if (isMissing(value))
        return NOTHING;
    const hundredths = value * 100;

    if (hundredths > 0 && hundredths < 0.05)
        return '<0.1\u202f%';
    return `${hundredths.toFixed(hundredths > 0 && hundredths < 9.95 ? 1 : 0)}\u202f%`;
}

/** Seconds: 14 s, 3 min, 8 h 12 min, 4 d 2 h */
export function duration(seconds) {
    if (isMissing(seconds))
        return NOTHING;
    const s = Math.max(0, Math.floor(seconds));

    if (s < 60)
        return `${s}\u202fs`;
    if (s < 3600)
        return `${Math.floor(s / 60)}\u202fmin`;
    if (s < 86400)
        return `${Math.floor(s / 3600)}\u202fh ${Math.floor(s % 3600 / 60)}\u202fmin`;
    return `${Math.floor(s / 86400)}\u202fd ${Math.floor(s % 86400 / 3600)}\u202fh`;
}

/** 14:03:22 */
export function time(ms) {
    return isMissing(ms) ? NOTHING : clock.format(ms);
}

/** 14:03 */
export function timeShort(ms) {
    return clockShort.format(ms);
}

/** 26 Nov, 14:03 */
export function date(ms) {
    return isMissing(ms) ? NOTHING : dateClock.format(ms);
}

/** "dropped_no_receiver" and "no_receiver" → "no receiver" */
export function words(name) {
    return name.replace(/^dropped_|_total$/g, '').replaceAll('_', ' ');
}

/** 1 device, 2 devices */
export function plural(value, one, many = `${one}s`) {
    return `${count(value)} ${value === 1 ? one : many}`;
}
