/* The web UI in a browser, against a make-believe server: log-in, Overview, Topics, Events. */
import assert from 'node:assert/strict';
import {after, afterEach, before, describe, it} from 'node:test';

import {HANG, SIZES, logIn, openBrowser, openPage, skip, untilText} from './ui/browser.mjs';

const FIRST_LOAD_BYTES_MAX = 150000;

describe('the web UI', {skip, ...HANG}, () => {
    let browser;
    let mock;
    let page;

    before(async () => {
        const {startMock} = await import('./mock/server.mjs');

        mock = await startMock({peers: 300, manual: true});
        browser = await openBrowser();
        page = await openPage(browser);
    });

    after(async () => {
        await browser?.close();
        await mock?.stop();
    });

    afterEach(() => assert.deepEqual(page.problems.splice(0), []));

    const open = async (name) => {
        await page.goto(`${mock.url}#/${name}`);
        await page.waitForSelector(`.page-${name}`);
    };

    const choose = (name, within = 'main') =>
        page.locator(within).getByRole('radio', {name, exact: true}).first().check();

    describe('log-in', () => {
        it('says when user and password do not match', async () => {
            await page.goto(mock.url);
            await page.fill('[name=user]', 'admin');
            await page.fill('[name=password]', 'wrong');
            await page.keyboard.press('Enter');
            await untilText(page, '.login .problem', /^This user and password do not match\.$/);
            assert.equal(await page.isVisible('#topbar'), false);
        });

        it('waits as long as the server wants after too many attempts', async () => {
            mock.lockedOut = true;
            await page.click('.login button');
            await untilText(page, '.login button', /^Again in \d s$/);
            assert.equal(await page.isDisabled('.login button'), true);
            mock.lockedOut = false;
            await untilText(page, '.login button', /^Log in$/);
            page.problems = page.problems.filter((text) => !/status of 429/.test(text));
        });

        it('enters with the right ones, and stays in after a reload', async () => {
            await logIn(page, mock.url, 'secret');
            await untilText(page, '#status-text', /^Live$/);
            await page.reload();
            await untilText(page, '#status-text', /^Live$/);
        });

        it('loads less than 150 kB in all', () => {
            const sizes = [...mock.bytesSent].filter(([path]) => !path.startsWith('/led/'));
            const total = sizes.reduce((sum, [, size]) => sum + size, 0);

            assert.ok(sizes.some(([path]) => path === '/dygraph.min.js'), 'charts are in it');
            assert.ok(total < FIRST_LOAD_BYTES_MAX, `it is ${total}`);
        });

        it('asks again when the server has forgotten us', async () => {
            mock.sessions.clear();
            mock.cut();
            await page.waitForSelector('.login');
            await logIn(page, mock.url, 'secret');
        });

        it('says that a log-in has ended, and goes on where it was', async () => {
            await open('topics');
            await untilText(page, '#status-text', /^Live$/);
            mock.sessions.clear();
            mock.cut();
            await untilText(page, '.login', /Your log-in has ended/);
            assert.equal(await page.inputValue('[name=user]'), 'admin');
            await page.fill('[name=password]', 'secret');
            await page.keyboard.press('Enter');
            await page.waitForSelector('.page-topics');
        });

        it('stays logged in while it is looked at', async () => {
            mock.sessionMs = 150; /* a third of it: so often a request is due */
            await page.reload();
            await untilText(page, '#status-text', /^Live$/);
            for (let i = 0; i < 3; i++)
                await page.waitForRequest(/api\/session$/);
            mock.sessions.clear(); /* and its line stays: only such a request can tell */
            await untilText(page, '.login', /Your log-in has ended/);
            mock.sessionMs = 8 * 3600000;
            await logIn(page, mock.url, 'secret');
        });

        it('logs out', async () => {
            await page.click('#log-out');
            await page.waitForSelector('.login');
            assert.equal(mock.sessions.size, 0);
            await logIn(page, mock.url, 'secret');
        });
    });

    describe('Overview', () => {
        it('shows the figures of this second', async () => {
            await open('overview');
            await untilText(page, '.tile', /^Connections303300 are clients/);
            const row = mock.world.join();

            mock.publishStats();
            await untilText(page, '.tile', /^Connections304301 are clients/);
            mock.world.leave(row.id);
        });

        it('shows what the scripts do, and leads to their errors', async () => {
            const card = page.locator('section[aria-label=Scripts] .info-card');

            assert.match(await card.innerText(), /^\/smq\.lsp\s+in force\s+3 errors, 1 out of time/);
            assert.match(await card.locator('table').innerText(), /onpublish\s[\s\S]*µs/);
            assert.equal(await card.locator('text=onunload').count(), 0); /* never called */
            await card.locator('text=See events').click();
            await page.waitForSelector('.page-events');
            assert.equal(await page.inputValue('[data-search]'), 'script.');
            await open('overview');
        });

        it('draws the hour the server has kept', async () => {
            await choose('1 hour');
            await untilText(page, '.chart .legend-value', /\d/);
            const drawn = await page.waitForFunction(() => {
                const canvas = document.querySelector('.chart canvas');
                const pixels = canvas?.getContext('2d').getImageData(0, 0, canvas.width,
                    canvas.height).data;

                return pixels?.some((value, i) => i % 4 === 3 && value > 128);
            });

            assert.ok(drawn);
            const labels = await page.locator('.chart .dygraph-axis-label-x').allTextContents();

            assert.ok(labels.some((text) => /^\d\d:\d\d$/.test(text)), labels.join());
        });

        it('tells the moment that is pointed at, in all charts', async () => {
            const box = await page.locator('.chart-room').first().boundingBox();

            await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
            await page.waitForFunction(() => {
                const times = [...document.querySelectorAll('.page > .charts .chart-when')]
                    .map((each) => each.textContent);

                return /^\d\d:\d\d:\d\d$/.test(times[0]) && new Set(times).size === 1;
            });
            await page.mouse.move(0, 0);
        });

        it('names each reason for a loss', async () => {
            const card = page.locator('.info-card', {hasText: 'Messages not delivered'});

            await card.getByText('no receiver').waitFor();
            assert.match(await card.locator('tr', {hasText: 'no receiver'}).innerText(),
                /nobody had subscribed[^]*\d/);
        });

        it('has a row for each thread, with load and lane', async () => {
            const names = await page.locator('.threads th[scope=row]').allTextContents();

            assert.deepEqual(names, ['io-0', 'io-1', 'router-0', 'control', 'web']);
            await untilText(page, '.threads tbody tr', /^io-0\d+ %\d+ of 255/);
        });

        it('searches the configuration by its reasons', async () => {
            await page.fill('[data-search]', 'wake-ups');
            await untilText(page, '.config', /threads.*io.*auto/);
            assert.equal(await page.locator('.config-row').count(), 1);
            await page.click('.config-row summary');
            await untilText(page, '.config-row p', /^Threads that talk to the network/);
        });
    });

    describe('the line', () => {
        it('says that it is lost, and goes on by itself', async () => {
            await open('overview');
            const {port} = mock.http.address();

            mock.cut();
            mock.http.closeAllConnections();
            await new Promise((done) => mock.http.close(done));
            await untilText(page, '#lost-text', /connection to the broker is lost/);
            await untilText(page, '#status-text', /^Connection lost$/);
            await new Promise((done) => mock.http.listen(port, '127.0.0.1', done));
            await untilText(page, '#status-text', /^Live$/);
            assert.equal(await page.isVisible('#lost'), false);
            mock.world.join();
            mock.publishStats();
            await untilText(page, '.tile', /^Connections304/);
            page.problems = page.problems.filter((text) => !/net::ERR_/.test(text));
        });
    });

    describe('Topics', () => {
        const topic = () => mock.devices.topic('alarm/fire');

        it('lists names with numbers and subscribers', async () => {
            await open('topics');
            await untilText(page, '.page-head .muted', /^60 topics$/);
            await page.fill('[data-search]', 'alarm');
            await untilText(page, '.page-head .muted', /^1 of 60 topics$/);
            await untilText(page, '.vspace .vrow', new RegExp(`^alarm/fire${topic().tid}/smq.lsp3`));
        });

        it('counts the subscribers of the open one live', async () => {
            await page.click('.vspace .vrow:not([hidden])');
            await untilText(page, '.panel .facts', /Subscribers3M/);
            topic().others = 12;
            mock.devices.changed(topic().tid, 12);
            await untilText(page, '.panel .facts', /Subscribers12M/);
        });

        it('shows its messages as text, JSON and hex', async () => {
            await page.click('.panel .switch');
            await untilText(page, '.panel .facts', /this page among them/);
            mock.devices.publish('alarm/fire', '{"zone":3}');
            await untilText(page, '.message .payload', /^\{"zone":3\}$/);
            await choose('JSON', '.panel');
            await untilText(page, '.message .payload', /^\{\n {2}"zone": 3\n\}$/);
            await choose('Hex', '.panel');
            await untilText(page, '.message .payload', /^0000 {2}7b 22 7a/);
            mock.devices.publish('alarm/fire', '');
            await untilText(page, '.message .payload', /^\(empty\)$/);
        });

        it('publishes to it', async () => {
            await page.fill('.panel textarea', 'test alarm');
            await page.click('.panel form >> text=Publish');
            await choose('Text', '.panel');
            await untilText(page, '.message .payload', /^test alarm$/);
        });

        it('holds back while paused, and keeps no more than 200', async () => {
            await page.click('.panel >> text=Pause');
            for (let i = 0; i < 300; i++)
                mock.devices.publish('alarm/fire', `number ${i}`);
            await untilText(page, '.panel section .muted', /200 waiting$/);
            await untilText(page, '.message .payload', /^test alarm$/);
            await page.click('.panel >> text=Go on');
            await untilText(page, '.message .payload', /^number 299$/);
            assert.equal(await page.locator('.message').count(), 200);
            await page.click('.panel >> text=Clear');
            assert.equal(await page.locator('.message').count(), 0);
        });

        it('leaves the topic when its panel is closed', async () => {
            await page.keyboard.press('Escape');
            await page.waitForSelector('.panel', {state: 'detached'});
            while (topic().subscribers.size > 0)
                await page.evaluate(() => new Promise(requestAnimationFrame));
        });

        it('opens a name that nobody holds', async () => {
            await page.fill('[data-search]', 'brand/new');
            await page.click('text=Open “brand/new”');
            await untilText(page, '.panel-title', /^brand\/new$/);
            await untilText(page, '.panel .facts', /Subscribers0/);
        });
    });

    describe('Events', () => {
        it('counts new warnings while another page is shown', async () => {
            await open('topics');
            mock.event('warning', 'conn.slow', 'uid="lamp-1" queued_bytes=65024');
            mock.event('info', 'conn.accepted', 'uid="lamp-2"');
            await untilText(page, '#events-count', /^1$/);
        });

        it('shows them all, the newest on top', async () => {
            await open('events');
            await page.waitForSelector('#events-count', {state: 'hidden'});
            assert.deepEqual((await page.locator('.event-name').allTextContents()).slice(0, 2),
                ['conn.accepted', 'conn.slow']);
            mock.event('error', 'tls.failed', 'reason="unknown CA"');
            await untilText(page, '.event-name', /^tls\.failed$/);
        });

        it('filters by level and words', async () => {
            await choose('Warnings and errors');
            assert.deepEqual(await page.locator('.event-name').allTextContents(),
                ['tls.failed', 'conn.slow']);
            await page.fill('[data-search]', 'lamp-1 slow');
            assert.deepEqual(await page.locator('.event-name').allTextContents(), ['conn.slow']);
            await page.fill('[data-search]', 'nothing like it');
            await untilText(page, '.empty h2', /Nothing like that/);
            await page.fill('[data-search]', '');
            await choose('All');
        });

        it('waits while paused', async () => {
            await page.click('text=Pause');
            mock.event('info', 'conn.accepted', 'uid="lamp-3"');
            await untilText(page, '.page-head .muted', /1 waiting\.$/);
            await untilText(page, '.event-name', /^tls\.failed$/);
            await page.click('text=Go on');
            await untilText(page, '.event-text', /lamp-3/);
        });

        it('keeps a bounded number of them', async () => {
            for (let i = 0; i < 2500; i++)
                mock.event('info', 'conn.accepted', `serial=${i}`);
            await untilText(page, '.event-text', /serial=2499/);
            await untilText(page, '.page-head .muted', /^2,000 events .* older ones are gone/);
            assert.equal(await page.locator('.event').count(), 500);
        });
    });

    describe('for everybody', () => {
        for (const name of ['overview', 'devices', 'topics', 'events'])
            it(`${name} fits a phone`, async () => {
                const phone = await openPage(browser, SIZES.phone);

                await logIn(phone, mock.url, 'secret');
                await phone.goto(`${mock.url}#/${name}`);
                await phone.waitForSelector(`.page-${name} h1`);
                for (const width of [390, 320]) {
                    await phone.setViewportSize({width, height: 640});
                    await phone.waitForFunction((wanted) =>
                        document.documentElement.scrollWidth === wanted, width);
                }
                assert.deepEqual(phone.problems, []);
                await phone.context().close();
            });

        for (const name of ['overview', 'devices', 'topics', 'events'])
            it(`${name}: all that can be operated has a name`, async () => {
                await open(name);
                const nameless = await page.evaluate(() =>
                    [...document.querySelectorAll('button, a, input, select, textarea')]
                        .filter((each) => each.checkVisibility() && !(each.textContent.trim() || each.labels?.length ||
                            each.getAttribute('aria-label')))
                        .map((each) => each.outerHTML));

                assert.deepEqual(nameless, []);
            });

        it('goes to the content with the first Tab', async () => {
            await open('topics');
            await page.reload();
            await page.waitForSelector('.page-topics');
            await page.keyboard.press('Tab');
            await page.keyboard.press('Enter');
            assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
            assert.ok(await page.isVisible('.page-topics'));
        });
    });
});
