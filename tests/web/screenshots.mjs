/*
 * tests/web/screenshots.mjs — pictures of all pages, to look at: build/screenshots/.
 *
 *      node tests/web/screenshots.mjs                            of make-believe devices
 *      node tests/web/screenshots.mjs URL PASSWORD [PREFIX]      of a server
 */
import {mkdirSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';

import {SIZES, logIn, openBrowser, openPage, skip} from './ui/browser.mjs';

const FOLDER = fileURLToPath(new URL('../../build/screenshots/', import.meta.url));
const SETTLE_MS = 2500; /* two looks at the counters, for rates */

async function pictures(browser, url, password, prefix, size, colorScheme) {
    const page = await openPage(browser, {...SIZES[size], colorScheme});
    const shot = (name, fullPage = false) => page.screenshot({fullPage,
        path: join(FOLDER, `${prefix}${name}-${size}-${colorScheme}.png`)});
    const open = async (name, selector) => {
        await page.goto(`${url}#/${name}`);
        /* an empty page is a picture, too */
        await page.waitForSelector(selector, {timeout: 5000}).catch(() => {});
        await page.waitForTimeout(SETTLE_MS);
    };
    const openPanel = async () => {
        if (await page.locator('.vspace .vrow:not([hidden])').count() === 0)
            return false;
        await page.locator('.vspace .vrow:not([hidden])').nth(2).click();
        await page.click('.panel .switch');
        await page.fill('.panel textarea', '{"on": true}');
        await page.click('.panel form button');
        await page.waitForTimeout(SETTLE_MS);
        return true;
    };

    await page.goto(url);
    await page.waitForSelector('.login');
    await shot('login');
    await logIn(page, url, password);
    await open('overview', '.tile');
    await shot('overview');
    for (const chart of await page.locator('.chart-room').all())
        await chart.scrollIntoViewIfNeeded(); /* drawn only when seen */
    await page.evaluate(() => scrollTo(0, 0));
    await shot('overview-all', true);
    for (const [name, one] of [['devices', 'device'], ['topics', 'topic']]) {
        await open(name, '.vspace .vrow:not([hidden])');
        await shot(name);
        if (await openPanel())
            await shot(one);
    }
    await open('events', '.event');
    await shot('events');
    page.problems.forEach((problem) => console.log(`${size} ${colorScheme}: ${problem}`));
    await page.context().close();
}

if (skip)
    throw new Error(skip);
let [url, password, prefix = ''] = process.argv.slice(2);
let mock;

if (!url) {
    const {startMock} = await import('./mock/server.mjs');

    mock = await startMock();
    [url, password] = [mock.url, 'secret'];
}
mkdirSync(FOLDER, {recursive: true});
const browser = await openBrowser();

for (const size of Object.keys(SIZES))
    for (const scheme of ['light', 'dark'])
        await pictures(browser, url, password, prefix, size, scheme);
await browser.close();
await mock?.stop();
console.log(`pictures are in ${FOLDER}`);
