/*
 * The web UI in a browser, against the real server and devices that `smq demo led` simulates.
 *
 * By itself: node --test tests/web/server_ui.test.mjs
 */
import assert from 'node:assert/strict';
import {after, afterEach, before, describe, it} from 'node:test';

import {HANG, SIZES, logIn, openBrowser, openPage, skip, untilText} from './ui/browser.mjs';
import {Server, skipServer} from './ui/server.mjs';

const DEVICES = 3; /* over each transport */

/* By a reset, too, which events.once() would take for a failure. */
const closed = (socket) => new Promise((resolve) => socket.once('close', resolve));

for (const scheme of ['http', 'https'])
    describe(`over ${scheme}`, {skip: skip || skipServer, ...HANG}, () => {
        const server = new Server(['limits.exempt_addresses=127.0.0.1 ::1']);
        let browser;
        let page;

        before(async () => {
            await server.start();
            server.demo('Plain', 'tcp', DEVICES);
            server.demo('Secure', 'tls', DEVICES);
            browser = await openBrowser();
            page = await openPage(browser, {...SIZES.desktop, ignoreHTTPSErrors: true});
        });

        after(async () => {
            await browser?.close();
            await server.destroy();
        });

        afterEach(() => assert.deepEqual(page.problems.splice(0), []));

        const open = async (name) => {
            await page.goto(`${server[scheme]}#/${name}`);
            await page.waitForSelector(`.page-${name}`);
        };
        const choose = (name, within) =>
            page.locator(within).getByRole('radio', {name, exact: true}).first().check();
        const rows = () => page.locator('.vspace .vrow:not([hidden])');
        const row = (text) => rows().filter({hasText: text}).first();

        /* Search, and wait until the list shows that: rows move until then, under the mouse, too. */
        const search = async (text, count) => {
            await page.fill('[data-search]', text);
            await page.waitForFunction(([word, wanted]) => {
                const shown = [...document.querySelectorAll('.vspace .vrow:not([hidden])')];

                return shown.length === wanted &&
                    shown.every((each) => each.textContent.includes(word));
            }, [text, count]);
        };

        it('lets nobody in with another password', async () => {
            await page.goto(server[scheme]);
            await page.fill('[name=user]', 'admin');
            await page.fill('[name=password]', 'guess');
            await page.click('.login button');
            await untilText(page, '.login .problem', /\w/);
            assert.equal(await page.isVisible('#topbar'), false);
        });

        it('logs in with the one that the first start printed', async () => {
            await logIn(page, server[scheme], server.password);
            await untilText(page, '#status-text', /^Live$/);
        });

        it('keeps scripts away from the cookie', async () => {
            assert.equal(await page.evaluate(() => document.cookie), '');
            const [cookie] = await page.context().cookies();

            assert.equal(cookie.httpOnly, true);
            assert.equal(cookie.sameSite, 'Strict');
            assert.equal(cookie.secure, scheme === 'https');
        });

        it('Overview: figures of this second, by transport', async () => {
            await open('overview');
            await untilText(page, '.page-head .muted', /^Up for/);
            const card = page.locator('.info-card', {hasText: 'Connections by kind'});

            await page.waitForFunction((count) => {
                const bars = [...document.querySelectorAll('.bars li')].map((each) =>
                    each.textContent);

                return bars.includes(`TCP${count}`) && bars.includes(`TLS${count}`);
            }, DEVICES);
            assert.match(await card.innerText(), /ECC/);
            await untilText(page, '.threads tbody th', /^io-0$/);
        });

        it('Overview: the configuration in force', async () => {
            await page.fill('[data-search]', 'limits pages');
            await untilText(page, '.config', /pages.*300.*changed/);
        });

        it('Devices: all of them, with transport and certificate', async () => {
            await open('devices');
            await search('Secure', DEVICES);
            await untilText(page, '.vspace .col-transport', /^tls · (ecc|rsa)$/);
            await page.fill('[data-search]', '');
        });

        it('Devices: live traffic of one, with the names of topics', async () => {
            await search('Plain', DEVICES);
            await rows().first().click();
            await page.click('.panel .switch');
            await untilText(page, '.message.in', /\/m2m\/temp/);
            await untilText(page, '.message.in .payload', /^0000 {2}[\da-f]{2} [\da-f]{2}/);
        });

        it('Devices: a message to it arrives', async () => {
            await choose('Hex', '.panel form');
            await page.fill('.panel textarea', '01 01');
            await page.click('.panel form button');
            await page.waitForFunction(() => [...document.querySelectorAll('.message.out')]
                .some((each) => /from this page/.test(each.textContent)));
        });

        it('Devices: one that comes is there, one that goes is gone', async () => {
            await page.fill('[data-search]', '');
            const count = async (wanted) => untilText(page, '.page-head .muted',
                new RegExp(`^${wanted} devices connected$`));
            await untilText(page, '.page-head .muted', /^\d+ devices connected$/);
            const text = await page.locator('.page-head .muted').textContent();
            const before = Number(/^\d+/.exec(text)[0]);
            const demo = server.demo('Guest');

            await count(before + 1);
            demo.kill();
            await count(before);
        });

        it('Devices: disconnect', async () => {
            await page.click('text=Disconnect …');
            await page.click('dialog .danger');
            await page.waitForSelector('.panel .banner:not([hidden])');
            await page.keyboard.press('Escape');
        });

        it('Devices: ban; the others of its address go with it, and Events lifts the ban', async () => {
            const devices = ['banned-1', 'banned-2'].map((uid) => server.device(uid, '127.0.0.2'));
            const gone = Promise.all(devices.map(closed));

            await search('banned-1', 1);
            await rows().first().click();
            await untilText(page, '.panel-title', /^banned-1$/);
            await page.click('text=Ban …');
            await page.click('dialog .danger');
            await gone;
            await page.waitForSelector('.panel .banner:not([hidden])');
            await closed(server.device('banned-3', '127.0.0.2'));
            await page.keyboard.press('Escape');
            await page.fill('[data-search]', '');
            await open('events');
            await untilText(page, '.bans tbody th', /^127\.0\.0\.2$/);
            await untilText(page, '.bans tbody td', /^by hand$/);
            await page.click('.bans button');
            await page.waitForSelector('.bans', {state: 'hidden'});
            const back = server.device('banned-4', '127.0.0.2');

            await open('devices');
            await row('banned-4').waitFor();
            back.destroy();
        });

        it('Topics: names with subscribers, live messages, publishing', async () => {
            await open('topics');
            await row('/m2m/led/display').waitFor();
            await row('/m2m/temp').click();
            await page.click('.panel .switch');
            await untilText(page, '.panel .facts', /this page among them/);
            await page.waitForSelector('.message');
            await page.fill('.panel textarea', 'from the page');
            await page.click('.panel form button');
            await page.waitForFunction(() => [...document.querySelectorAll('.payload')]
                .some((each) => each.textContent === 'from the page'));
        });

        it('LED demo: switches a lamp', async () => {
            await page.goto(`${server[scheme]}led/`);
            /* Cards are sorted by name, so they move until all are there. */
            await untilText(page, '#summary', new RegExp(`^${2 * DEVICES} connected`));
            const card = page.locator('.device', {hasText: 'Secure 2'});
            const lamp = card.locator('.switch').first();
            const was = await lamp.isChecked();

            await lamp.click();
            await page.waitForFunction((before) => {
                const its = [...document.querySelectorAll('.device')]
                    .find((each) => each.textContent.includes('Secure 2'))?.querySelector('.switch');

                return its && its.checked !== before && its.getAttribute('aria-busy') !== 'true';
            }, was);
        });

        it('LED demo: leads back to the web UI', async () => {
            await page.click('#back');
            await page.waitForSelector('.page-overview h1');
        });

        it('LED demo: a restart closes it with 1001, and it comes back by itself', async () => {
            const all = new RegExp(`^${2 * DEVICES} connected`);

            await page.goto(`${server[scheme]}led/`);
            await untilText(page, '#summary', all);
            /* The page's own socket is not ours to ask, so there is another one beside it. */
            await page.evaluate(() => new Promise((resolve) => {
                const socket = new WebSocket(`${location.origin.replace('http', 'ws')}/smq.lsp`);

                window.ended = new Promise((tell) => {
                    socket.onclose = ({code, wasClean}) => tell({code, wasClean});
                });
                socket.onmessage = resolve; /* the Init */
            }));
            await server.stop();
            assert.deepEqual(await page.evaluate(() => window.ended), {code: 1001, wasClean: true});
            await page.waitForSelector('#banner:not([hidden])');
            await server.start();
            await page.waitForSelector('#banner', {state: 'hidden'});
            await untilText(page, '#summary', all);
            await logIn(page, server[scheme], server.password); /* a new server knows nobody */
            page.problems = page.problems.filter((text) => !/net::ERR_/.test(text));
        });

        it('goes on by itself when the server was restarted', async () => {
            await open('overview');
            await untilText(page, '#status-text', /^Live$/);
            await server.stop();
            await untilText(page, '#status-text', /^Connection lost$/);
            await server.start();
            await page.waitForSelector('.login'); /* a new server knows nobody */
            await logIn(page, server[scheme], server.password);
            await untilText(page, '#status-text', /^Live$/);
            page.problems = page.problems.filter((text) => !/net::ERR_/.test(text));
        });

        it('Events: what happened', async () => {
            await open('events');
            await logIn(await openPage(browser, {ignoreHTTPSErrors: true}), server[scheme],
                server.password);
            await page.waitForSelector('.event');
        });
    });
