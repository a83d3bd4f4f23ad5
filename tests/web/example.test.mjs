/*
 * The telemetry example in a browser, with its configuration as it stands in configs/examples (but for
 * addresses and folders): the page, and what the web UI shows of its script.
 *
 * By itself: node --test tests/web/example.test.mjs
 */
import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {after, afterEach, before, describe, it} from 'node:test';
import {fileURLToPath} from 'node:url';

import {HANG, SIZES, logIn, openBrowser, openPage, skip, untilText} from './ui/browser.mjs';
import {Server, skipServer} from './ui/server.mjs';

const EXAMPLES = fileURLToPath(new URL('../../configs/examples/', import.meta.url));
const AGAIN_MS = 200;

describe('the telemetry example', {skip: skip || skipServer, ...HANG}, () => {
    const server = new Server(['script.callback_ms=60s']); /* a busy machine is not the matter */
    const pages = [];
    let browser;

    before(async () => {
        server.configure(readFileSync(`${EXAMPLES}telemetry.conf`, 'utf8')
            .replace(/^listen = .*$/m, '').replaceAll('configs/examples/', EXAMPLES));
        await server.start();
        browser = await openBrowser();
    });

    after(async () => {
        await browser?.close();
        await server.destroy();
    });

    afterEach(() => assert.deepEqual(pages.splice(0).flatMap((page) => page.problems), []));

    const open = async (options) => {
        const page = await openPage(browser, options);

        pages.push(page);
        await page.goto(`${server.http}telemetry.html`);
        await untilText(page, '#status', /^Connected$/);
        return page;
    };

    /* Readings, from the page itself, until they are in the database and so in the plot. */
    const untilPlotted = async (page, device) => {
        await page.fill('#device', device);
        await page.click('button');
        for (let value = 20; await page.isHidden('#plot'); value++) {
            await page.evaluate((reading) =>
                /* global smq */ smq.pubjson(reading, 'telemetry'), {device, value});
            await page.waitForTimeout(AGAIN_MS);
        }
    };

    it('says when there is nothing to plot', async () => {
        const page = await open();

        await page.fill('#device', 'nobody');
        await page.click('button');
        await untilText(page, '#status', /^No readings of nobody/);
        assert.equal(await page.isVisible('#plot'), false);
    });

    it('plots what a device says, while it says it', async () => {
        const page = await open();

        await untilPlotted(page, 'pump-1');
        await untilText(page, '#status', /^pump-1: [\d.,]+ at \d/);
        assert.match(await page.getAttribute('#line', 'points'), /^[\d.]+,[\d.]+ /);
        assert.match(await page.textContent('#high'), /^2\d/);
    });

    for (const colorScheme of ['light', 'dark'])
        it(`is as wide as a phone, ${colorScheme}`, async () => {
            const page = await open({...SIZES.phone, colorScheme});

            await untilPlotted(page, 'pump-2');
            const {page: width, line} = await page.evaluate(() => ({
                page: document.documentElement.scrollWidth,
                line: getComputedStyle(document.getElementById('line')).stroke,
            }));

            assert.equal(width, SIZES.phone.viewport.width);
            assert.equal(line, colorScheme === 'dark' ? 'rgb(106, 176, 255)' : 'rgb(10, 95, 196)');
        });

    it('has a page to begin with beside it: what one says all see', async () => {
        const chats = [];

        for (let i = 0; i < 2; i++) {
            const page = await openPage(browser);

            pages.push(page);
            chats.push(page);
            await page.goto(`${server.http}chat.html`);
            await untilText(page, '#status', /^Connected$/);
        }
        await chats[0].fill('#text', '<b>hello</b>');
        await chats[0].keyboard.press('Enter');
        for (const page of chats)
            await untilText(page, '#lines', /^\d+: <b>hello<\/b>$/);
    });

    it('has its script in the web UI, with the calls that were made', async () => {
        const page = await openPage(browser);

        pages.push(page);
        await logIn(page, `${server.http}admin/`, server.password);
        await page.goto(`${server.http}admin/#/overview`);
        const card = 'section[aria-label=Scripts] .info-card';

        await untilText(page, card, /^\/smq\.lspin force/);
        await untilText(page, card, /onmsg\s*\d/);
        await untilText(page, card, /async\s*\d/);
        await untilText(page, card, /timer\s*\d/);
    });
});
