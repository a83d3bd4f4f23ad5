/* webui/admin/payload.js — a message's bytes as people read and write them. Pure. */

export const FORMATS = [['text', 'Text'], ['json', 'JSON'], ['hex', 'Hex']];

const strict = new TextDecoder('utf-8', {fatal: true, ignoreBOM: true});
const lenient = new TextDecoder('utf-8', {ignoreBOM: true});
const encoder = new TextEncoder();

const HEX_COLUMNS = 8; /* fits on a phone */
const pad = (number, digits) => number.toString(16).padStart(digits, '0');

/** Offset, bytes, and what of them is ASCII. */
export function hexDump(bytes) {
    const lines = [];
    const width = 3 * Math.min(HEX_COLUMNS, bytes.length) - 1;

    for (let at = 0; at < bytes.length; at += HEX_COLUMNS) {
        const row = [...bytes.subarray(at, at + HEX_COLUMNS)];
        const hex = row.map((byte) => pad(byte, 2)).join(' ').padEnd(width);
        const text = row.map((byte) => byte >= 0x20 && byte < 0x7f ?
            String.fromCharCode(byte) : '·').join('');

        lines.push(`${pad(at, 4)}  ${hex}  ${text}`);
    }
    return lines.join('\n');
}

/** Is it worth showing as text? */
export function isText(bytes) {
    try {
        // eslint-disable-next-line no-control-regex
        return !/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/.test(strict.decode(bytes));
    } catch {
        return false;
    }
}

/**
 * @param {Uint8Array} bytes
 * @param {string} format  of FORMATS; what is no text, or no JSON, is shown one step rawer
 */
export function show(bytes, format) {
    if (bytes.length === 0)
        return '(empty)';
    if (format === 'hex' || !isText(bytes))
        return hexDump(bytes);
    const text = lenient.decode(bytes);

    if (format === 'text')
        return text;
    try {
        return JSON.stringify(JSON.parse(text), null, 2);
    } catch {
        return text;
    }
}

/**
 * What somebody typed, as bytes. Throws an Error whose message is for them.
 * @param {string} text
 * @param {string} format
 */
export function parse(text, format) {
    if (format === 'hex')
        return parseHex(text);
    if (format === 'json')
        return encoder.encode(JSON.stringify(parseJson(text)));
    return encoder.encode(text);
}

function parseJson(text) {
    try {
        return JSON.parse(text);
    } catch (error) {
        throw new Error(`This is not JSON: ${error.message}`);
    }
}

function parseHex(text) {
    const digits = text.replace(/\s+|0x|,/g, '');

    if (!/^[0-9a-f]*$/i.test(digits))
        throw new Error('Hexadecimal digits only, as in: 01 ff');
    if (digits.length % 2 === 1)
        throw new Error('Two digits for each byte, as in: 01 ff');
    return Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

/**
 * Names that clients chose come with a letter for each byte: as text again, where they are text.
 * @param {string} letters
 */
export function textOf(letters) {
    if (!/[\u0080-\u00ff]/.test(letters) || /[^\u0000-\u00ff]/.test(letters))
        return letters;
    try {
        return strict.decode(Uint8Array.from(letters, (letter) => letter.charCodeAt(0)));
    } catch {
        return letters;
    }
}

/** What cannot be seen is a dot. @param {string} text */
export function visible(text) {
    // eslint-disable-next-line no-control-regex
    return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '·');
}

/** @param {string} base64 */
export function fromBase64(base64) {
    return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}
