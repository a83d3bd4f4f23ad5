/* The web UI's pure parts, without a browser. */
import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {describe, it} from 'node:test';

import * as format from '../../webui/admin/format.js';
import {fromBase64, hexDump, isText, parse, show, textOf, visible} from '../../webui/admin/payload.js';

globalThis.document ??= {baseURI: 'http://broker.example/'};

const {parseConfig} = await import('../../webui/admin/config_view.js');
const {Peers} = await import('../../webui/admin/peers.js');

const bytes = (...list) => Uint8Array.from(list);
const utf8 = (text) => new TextEncoder().encode(text);
const plain = (text) => text.replaceAll('\u202f', ' ');

describe('payload', () => {
    it('puts the bytes of a name together where they are UTF-8', () => {
        assert.equal(textOf('\u00e6\u00b8\u00a9-1'), '温-1');
        assert.equal(textOf('temp \u00b0C'), 'temp °C', 'one byte, which is no UTF-8');
        assert.equal(textOf('温-1'), '温-1', 'text all along');
        assert.equal(visible('a\0b\u009bc'), 'a·b·c');
    });

    it('dumps bytes as offset, hex and ASCII', () => {
        assert.equal(hexDump(utf8('hello, world')),
            '0000  68 65 6c 6c 6f 2c 20 77  hello, w\n0008  6f 72 6c 64              orld');
    });

    it('does not pad a short dump', () => assert.equal(hexDump(bytes(0, 217)), '0000  00 d9  ··'));

    it('takes what is not UTF-8, or has control characters, for no text', () => {
        assert.equal(isText(bytes(0xff, 0xfe)), false);
        assert.equal(isText(bytes(0x41, 0)), false);
        assert.equal(isText(utf8('line\n\ttab é')), true);
    });

    it('shows binary as hex, whatever is asked for', () => {
        assert.match(show(bytes(0, 1), 'text'), /^0000 {2}00 01/);
        assert.match(show(bytes(0, 1), 'json'), /^0000 {2}00 01/);
    });

    it('spreads JSON out, and leaves other text alone', () => {
        assert.equal(show(utf8('{"a":1}'), 'json'), '{\n  "a": 1\n}');
        assert.equal(show(utf8('{"a":'), 'json'), '{"a":');
    });

    it('says that an empty message is empty', () => assert.equal(show(bytes(), 'hex'), '(empty)'));

    it('reads hex as people write it', () => {
        assert.deepEqual(parse('01 0xff,\n7f', 'hex'), bytes(1, 255, 127));
        assert.deepEqual(parse('', 'hex'), bytes());
    });

    it('explains hex that is none', () => {
        assert.throws(() => parse('0g', 'hex'), /Hexadecimal digits only/);
        assert.throws(() => parse('123', 'hex'), /Two digits/);
    });

    it('sends JSON without its blanks, and refuses what is none', () => {
        assert.deepEqual(parse('{ "a" : [1, 2] }', 'json'), utf8('{"a":[1,2]}'));
        assert.throws(() => parse('{a:1}', 'json'), /This is not JSON/);
    });

    it('reads base64', () => assert.deepEqual(fromBase64('AP8='), bytes(0, 255)));
});

describe('format', () => {
    for (const [got, wanted] of [
        [format.short(0), '0'], [format.short(0.25), '0.3'], [format.short(999), '999'],
        [format.short(1234), '1.23 k'], [format.short(45678), '45.7 k'],
        [format.short(7.3e6), '7.30 M'], [format.bytes(512), '512 B'],
        [format.bytes(64 << 20), '64.0 MiB'], [format.micros(74), '74 µs'],
        [format.micros(1200), '1.20 ms'], [format.percent(0.347), '35 %'],
        [format.percent(0.004), '0.4 %'], [format.percent(0), '0 %'],
        [format.percent(0.0001), '<0.1 %'],
        [format.duration(59), '59 s'], [format.duration(29520), '8 h 12 min'],
        [format.duration(352800), '4 d 2 h'], [format.words('dropped_no_receiver'), 'no receiver'],
        [format.plural(1, 'device'), '1 device'], [format.plural(2000, 'device'), '2,000 devices'],
        [format.short(null), '–'], [format.micros(undefined), '–'],
    ])
        it(wanted, () => assert.equal(plain(got), wanted));
});

describe('parseConfig', () => {
    const entries = parseConfig(readFileSync(new URL('../../configs/default.conf',
        import.meta.url), 'utf8'));
    const find = (section, key) =>
        entries.find((entry) => entry.section === section && entry.key === key);

    it('finds keys in their sections, with their reasons', () => {
        const {value, why, range, isDefault} = find('threads', 'io');

        assert.equal(value, 'auto');
        assert.match(why, /^Threads that talk to the network/);
        assert.match(range, /default auto$/);
        assert.equal(isDefault, true);
    });

    it('finds nothing changed in the defaults', () => {
        assert.deepEqual(entries.filter((entry) => !entry.isDefault), []);
    });

    it('knows a default also where the key may change live', () => {
        assert.match(find('limits', 'handshakes').range, /; default 10000; live, up to/);
        assert.equal(find('limits', 'handshakes').isDefault, true);
    });

    it('sees what was changed', () => {
        const [changed] = parseConfig('log {\n # Which.\n # [one of a, b; default a]\n level = b\n}');

        assert.deepEqual(changed, {section: 'log', key: 'level', value: 'b', why: 'Which.',
            range: 'one of a, b; default a', isDefault: false});
    });

    it('names nested sections', () => {
        const [topic] = parseConfig('instance "/a" {\n topic "x" {\n tid = 42\n }\n}');

        assert.equal(topic.section, 'instance "/a" › topic "x"');
    });
});

describe('Peers', () => {
    const row = (id, uid, more = {}) => ({id, uid, info: '', address: '10.0.0.1', etid: 1,
        instance: '/smq.lsp', transport: 'tcp', received: 0, sent: 0, dropped: 0, queued_bytes: 0,
        topics: 0, since: 0, ...more});
    const of = (...rows) => {
        const peers = new Peers(() => {});

        rows.forEach((each) => peers.put(each));
        peers.rebuild();
        return peers;
    };
    const shown = (peers) => peers.view.map((each) => each.uid).join(' ');

    it('puts who comes where it belongs, and takes out who goes', () => {
        const peers = of(row('1', 'b'), row('2', 'd'), row('3', 'f'));

        peers.apply({joined: [row('4', 'e'), row('5', 'a'), row('6', 'g')], left: ['2']});
        assert.equal(shown(peers), 'a b e f g');
    });

    it('keeps out who came and went within one message', () => {
        const peers = of(row('1', 'b'));

        peers.apply({joined: [row('2', 'a')], left: ['2']});
        assert.equal(shown(peers), 'b');
    });

    it('shows only what is searched, of those who come as well', () => {
        const peers = of(row('1', 'lamp-1'), row('2', 'meter-1'));

        peers.search('LAMP tcp');
        peers.apply({joined: [row('3', 'lamp-2'), row('4', 'meter-2')], left: []});
        assert.equal(shown(peers), 'lamp-1 lamp-2');
    });

    it('sorts addresses as numbers', () => {
        const peers = of(row('1', 'a', {address: '10.0.0.10'}), row('2', 'b', {address: '10.0.0.9'}));

        peers.sortBy('address');
        assert.equal(shown(peers), 'b a');
        peers.sortBy('address');
        assert.equal(shown(peers), 'a b');
    });

    it('begins with the most, where more is worse', () => {
        const peers = of(row('1', 'a', {dropped: 1}), row('2', 'b', {dropped: 10}));

        peers.sortBy('dropped');
        assert.equal(shown(peers), 'b a');
    });

    it('reckons rates from two looks', () => {
        const peers = new Peers(() => {});

        peers.put(row('1', 'a', {received: 10, sent: 5}), 1000);
        const {inRate, outRate} = peers.put(row('1', 'a', {received: 30, sent: 5}), 3000);

        assert.deepEqual([inRate, outRate], [10, 0]);
    });

    it('believes who went while the list was under way', () => {
        const peers = new Peers(() => {});

        globalThis.Worker = class {
            postMessage() {}
        };
        peers.load();
        peers.apply({joined: [row('9', 'late')], left: ['2']});
        peers.onPart({rows: [row('1', 'a'), row('2', 'gone')]});
        peers.onPart({done: true});
        assert.equal(shown(peers), 'a late');
    });

    it('forgets who is not in the new list', () => {
        const peers = of(row('1', 'a'), row('2', 'b'));

        peers.load();
        peers.onPart({rows: [row('2', 'b')]});
        peers.onPart({done: true});
        assert.equal(shown(peers), 'b');
    });
});
