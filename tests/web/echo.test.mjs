/*
 * The server's WebSocket layer on web.echo, judged by what others made: npm's ws and Debian's
 * chromium, over ws:// and wss://. Both check each frame of ours, and offer compression, which we
 * do not take. Rule by rule: tests/wire/test_ws_conformance.py.
 */
import assert from 'node:assert/strict';
import {once} from 'node:events';
import {after, before, describe, it} from 'node:test';

import {HANG, openBrowser, openPage, skip as skipBrowser} from './ui/browser.mjs';
import {Server, skipServer} from './ui/server.mjs';

const SIZES = [0, 1, 125, 126, 127, 128, 1000, 65532, 65533];
const TOO_LARGE = 65534;
const ws = await import('ws').catch(() => undefined);

describe('an echo', {skip: skipServer}, () => {
    const server = new Server(['web.echo=/echo']);

    before(() => server.start());
    after(() => server.stop());

    const urlOf = (page) => `${page.replace(/^http/, 'ws')}echo`;

    describe('heard by npm\'s ws', {skip: !ws && 'no ws: npm ci in tests/web'}, () => {
        async function open(page) {
            const line = new ws.WebSocket(urlOf(page), {rejectUnauthorized: false});

            await once(line, 'open');
            return line;
        }

        async function say(line, data) {
            line.send(data);
            const [heard, isBinary] = await once(line, 'message');

            assert.equal(isBinary, typeof data !== 'string');
            assert.ok(heard.equals(Buffer.from(data)), `${heard.length} of ${data.length} bytes`);
        }

        for (const scheme of ['http', 'https']) {
            it(`every size, text and binary, over ${scheme.replace('http', 'ws')}`, HANG, async () => {
                const line = await open(server[scheme]);

                assert.equal(line.extensions, '');
                for (const size of SIZES) {
                    await say(line, Buffer.alloc(size, 0xe9));
                    await say(line, 'x'.repeat(size));
                }
                line.close(4000, 'enough');
                assert.equal((await once(line, 'close'))[0], 4000);
            });
        }

        it('fragments, with pings between', HANG, async () => {
            const line = await open(server.http);
            const pongs = [];

            line.on('pong', (data) => pongs.push(data.toString()));
            for (const piece of ['in ', 'pièces', ', ']) {
                line.send(piece, {fin: false, binary: false});
                line.ping(piece);
            }
            line.send('whole', {fin: true, binary: false});
            assert.equal((await once(line, 'message'))[0].toString(), 'in pièces, whole');
            assert.deepEqual(pongs, ['in ', 'pièces', ', ']);
            line.close();
            await once(line, 'close');
        });

        it('1009 for a message that is too large', HANG, async () => {
            const line = await open(server.http);

            line.send(Buffer.alloc(TOO_LARGE));
            assert.equal((await once(line, 'close'))[0], 1009);
        });
    });

    describe('heard by chromium', {skip: skipBrowser}, () => {
        let browser;

        before(async () => {
            browser = await openBrowser();
        });
        after(() => browser.close());

        /* In the page: the sizes that came back as they were, and how it ended. */
        function talk({url, sizes, tooLarge}) {
            return new Promise((resolve, reject) => {
                const line = new WebSocket(url);
                const good = [];
                const queue = sizes.flatMap((size) =>
                    ['é'.repeat(size / 2), new Uint8Array(size).fill(size)]);
                const sayNext = () => line.send(queue[0] ?? new Uint8Array(tooLarge));

                line.binaryType = 'arraybuffer';
                line.onopen = sayNext;
                line.onmessage = ({data}) => {
                    const said = queue.shift();
                    const isSame = typeof said === 'string' ? said === data :
                        data.byteLength === said.length &&
                        new Uint8Array(data).every((byte, i) => byte === said[i]);

                    if (!isSame)
                        reject(new Error(`${said.length} came back as something else`));
                    good.push(said.length);
                    sayNext();
                };
                line.onclose = ({code}) => resolve({count: good.length, code,
                    extensions: line.extensions});
            });
        }

        for (const scheme of ['http', 'https']) {
            it(`every size, text and binary, from a page over ${scheme}`, HANG, async () => {
                const page = await openPage(browser, {ignoreHTTPSErrors: true});

                await page.goto(server[scheme]);
                const ended = await page.evaluate(talk,
                    {url: urlOf(server[scheme]), sizes: SIZES, tooLarge: TOO_LARGE});

                assert.deepEqual(ended, {count: 2 * SIZES.length, code: 1009, extensions: ''});
                await page.context().close();
            });
        }
    });
});
