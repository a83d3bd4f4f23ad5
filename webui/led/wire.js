/*
 * webui/led/wire.js — what LED devices and pages say to one another.
 *
 *      /m2m/led/device, sub-topic devinfo   JSON: who a device is; also to one page alone
 *      /m2m/led/device, sub-topic led       2 bytes: LED id, 0 or 1: it was switched
 *      /m2m/led/display                     "Hello": a page wants to know who is there
 *      /m2m/temp                            2 bytes, signed: tenths of a degree
 *      a device's address                   2 bytes: LED id, 0 or 1: switch it
 *
 * Any client may publish on these topics, so nothing in them is believed before it is read here.
 */

export const DEVICE = '/m2m/led/device';
export const DISPLAY = '/m2m/led/display';
export const TEMP = '/m2m/temp';

const LEDS_MAX = 64;
const TEXT_MAX = 80;

function text(value, otherwise) {
    return typeof value === 'string' && value.trim() !== '' ? value.trim().slice(0, TEXT_MAX) :
        otherwise;
}

function led(value) {
    if (typeof value !== 'object' || value === null || !Number.isInteger(value.id) ||
        value.id < 0 || value.id > 255)
        return undefined;
    return {
        id: value.id,
        name: text(value.name, `LED ${value.id}`),
        color: text(value.color, ''),
        on: value.on === true || value.on === 1,
    };
}

/* A device's own words, or undefined when they make no device. Temperatures are in degrees. */
export function readDevice(info) {
    if (typeof info !== 'object' || info === null || !Array.isArray(info.leds))
        return undefined;
    const leds = new Map(info.leds.slice(0, LEDS_MAX).map(led).filter((each) => each)
        .map((each) => [each.id, each]));

    return {
        name: text(info.devname, 'Nameless device'),
        ip: text(info.ipaddr, ''),
        temperature: Number.isFinite(info.temp) ? info.temp / 10 : undefined,
        leds: [...leds.values()],
    };
}

/* {id, on}, or undefined. */
export function readSwitch(bytes) {
    return bytes.length === 2 && bytes[1] <= 1 ? {id: bytes[0], on: bytes[1] === 1} : undefined;
}

/* In degrees, or undefined. */
export function readTemperature(bytes) {
    if (bytes.length !== 2)
        return undefined;
    return new DataView(bytes.buffer, bytes.byteOffset).getInt16(0) / 10;
}

export function switchCommand(id, on) {
    return Uint8Array.of(id, on ? 1 : 0);
}
