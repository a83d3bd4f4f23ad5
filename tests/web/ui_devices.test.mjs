/* The Devices page, driven in a browser against make-believe devices: up to 50,000 of them. */
import assert from 'node:assert/strict';
import {after, afterEach, before, describe, it} from 'node:test';

import {HANG, SIZES, logIn, openBrowser, openPage, skip, untilText} from './ui/browser.mjs';

const PEERS = 50000;
const ROWS_MAX = 100; /* elements, however long the list */

describe('Devices', {skip, ...HANG}, () => {
    let browser;
    let mock;
    let page;

    before(async () => {
        const {startMock} = await import('./mock/server.mjs');

        mock = await startMock({peers: PEERS, manual: true});
        browser = await openBrowser();
        page = await openPage(browser);
        await logIn(page, mock.url, 'secret');
    });

    after(async () => {
        await browser?.close();
        await mock?.stop();
    });

    afterEach(() => assert.deepEqual(page.problems, []));

    const rows = () => page.locator('.vspace .vrow:not([hidden])');
    const summary = '.page-head .muted';

    /* The rows on the screen, from top to bottom. */
    const seen = (cell = '.col-uid strong') => page.evaluate((selector) => {
        const {bottom} = document.querySelector('.vlist').getBoundingClientRect();
        const top = document.querySelector('.vhead').getBoundingClientRect().bottom;

        return [...document.querySelectorAll('.vspace .vrow:not([hidden])')]
            .map((row) => ({top: row.getBoundingClientRect().top,
                text: row.querySelector(selector).textContent}))
            .filter((row) => row.top >= top - 1 && row.top < bottom)
            .sort((a, b) => a.top - b.top).map(({text}) => text);
    }, cell);

    const choose = (name, within = '.panel') =>
        page.locator(within).getByRole('radio', {name, exact: true}).first().check();

    /* Both pages are made anew: one that went by before the browser looked would not be left. */
    async function openAnew(path) {
        await page.goto(`${mock.url}#/overview`);
        await page.waitForSelector('.page-overview');
        await page.goto(`${mock.url}#/${path}`);
        await page.waitForSelector('.page-devices');
    }

    async function openList() {
        await openAnew('devices');
        await untilText(page, summary, /^[\d,]+ devices connected$/);
        await rows().first().waitFor();
    }

    async function openFirst() {
        await openList();
        const [uid] = await seen();

        await rows().filter({hasText: uid}).first().click();
        await untilText(page, '.panel-title', new RegExp(uid));
        await page.waitForSelector('.panel .toggle');
        return [...mock.world.rows.values()].find((row) => row.uid === uid);
    }

    it('lists all 50,000 with a handful of elements', async () => {
        await openList();
        await untilText(page, summary, /^50,000 devices connected$/);
        assert.equal(await page.getAttribute('.vlist', 'aria-rowcount'), '50001');
        const height = await page.evaluate(() => document.querySelector('.vspace').clientHeight);

        assert.equal(height, PEERS * 46);
        assert.ok(await page.locator('.vspace .vrow').count() < ROWS_MAX);
    });

    it('shows the right rows wherever it is scrolled to', async () => {
        const sorted = [...mock.world.rows.values()].map((row) => row.uid).sort();

        await page.evaluate(() => {
            document.querySelector('.vlist').scrollTop = 46 * 31234;
        });
        await page.waitForFunction((uid) => [...document.querySelectorAll('.vspace .col-uid strong')]
            .some((each) => each.textContent === uid), sorted[31240]);
        /* Drawn row by row: until the window is full. */
        await page.waitForFunction(() => document.querySelectorAll('.vspace .vrow').length > 8);
        const uids = await seen();

        assert.ok(uids.length > 0);
        assert.deepEqual(uids, sorted.slice(31234, 31234 + uids.length));
    });

    it('goes by keyboard: End, arrows, Enter, Escape', async () => {
        const last = [...mock.world.rows.values()].map((row) => row.uid).sort().at(-2);

        await page.focus('.vlist');
        await page.keyboard.press('End');
        await page.keyboard.press('ArrowUp');
        await page.keyboard.press('Enter');
        await untilText(page, '.panel-title', new RegExp(`^${last}$`));
        await page.keyboard.press('Escape');
        await page.waitForSelector('.panel', {state: 'detached'});
        assert.ok(await page.evaluate(() => document.activeElement.classList.contains('vlist')));
    });

    it('searches with "/", in all that is known of a device', async () => {
        const row = [...mock.world.rows.values()][777];

        await page.keyboard.press('/');
        await page.keyboard.type(`${row.etid} ${row.uid.slice(0, 3).toUpperCase()}`);
        await untilText(page, summary, /^1 of 50,000 devices$/);
        assert.deepEqual(await seen(), [row.uid]);
    });

    it('says so when nothing is found', async () => {
        await page.fill('[data-search]', 'no such thing');
        await untilText(page, '.empty h2', /No such device/);
        await page.fill('[data-search]', '');
    });

    it('sorts by a column, and the other way', async () => {
        await openList();
        await page.click('.col-since .sort');
        assert.equal(await page.getAttribute('.vhead .col-since', 'aria-sort'), 'ascending');
        const youngest = Math.max(...[...mock.world.rows.values()].map((row) => row.since));

        await page.waitForFunction((uids) => uids.includes(
            document.querySelector('.vspace .vrow:not([hidden]) strong').textContent),
        [...mock.world.rows.values()].filter((row) => row.since === youngest).map(({uid}) => uid));
        await page.click('.col-since .sort');
        assert.equal(await page.getAttribute('.vhead .col-since', 'aria-sort'), 'descending');
    });

    it('shows who comes and who goes, without being asked', async () => {
        await openList();
        await page.fill('[data-search]', 'newcomer');
        await untilText(page, '.empty h2', /No such device/);
        const row = Object.assign(mock.world.join(), {uid: 'newcomer-1'});

        mock.admin.publish('peers', JSON.stringify({joined: [row], left: []}));
        await untilText(page, '.vspace .col-uid strong', /newcomer-1/);
        mock.world.leave(row.id);
        mock.admin.publish('peers', JSON.stringify({joined: [], left: [row.id]}));
        await untilText(page, '.empty h2', /No such device/);
        await page.fill('[data-search]', '');
    });

    it('takes what a device calls itself for text', async () => {
        const uid = '<img src=x onerror=alert(1)>';
        const row = Object.assign(mock.world.join(), {uid, info: '<b>bold</b>'});

        await openList();
        await page.fill('[data-search]', 'onerror');
        await untilText(page, '.vspace .col-uid strong', /^<img src=x onerror=alert\(1\)>$/);
        await rows().first().click();
        await untilText(page, '.panel-title', /^<img src=x/);
        assert.equal(await page.locator('main img, main b').count(), 0);
        mock.world.leave(row.id);
    });

    it('opens a device from its address alone', async () => {
        const [id, row] = [...mock.world.rows].at(4321);

        await openAnew(`devices/${id}`);
        await untilText(page, '.panel-title', new RegExp(`^${row.uid}$`));
        await untilText(page, '.panel .facts', new RegExp(`ETID${row.etid}`));
    });

    it('shows its traffic while the switch is on', async () => {
        const row = await openFirst();

        await page.click('.panel .switch');
        await page.waitForFunction(() => document.querySelector('.panel .switch').checked);
        while (!mock.taps.has(row.id))
            await page.evaluate(() => new Promise(requestAnimationFrame));
        mock.tapped(row.id, 'in', 1234, 'garden/gate', Buffer.from('{"open":true}'));
        await untilText(page, '.message', /garden\/gate/);
        await untilText(page, '.message .payload', /^\{"open":true\}$/);
        await choose('JSON');
        await untilText(page, '.message .payload', /^\{\n {2}"open": true\n\}$/);
        await choose('Hex');
        await untilText(page, '.message .payload', /^0000 {2}7b 22/);
        await page.click('.panel .switch');
        await page.waitForFunction(() => !document.querySelector('.panel .switch').checked);
    });

    it('sends a message on a sub-topic, and shows the answer', async () => {
        await openFirst();
        const form = page.locator('.panel form');

        await form.locator('input:not([type=radio])').fill('set');
        await form.locator('textarea').fill('on');
        await form.getByRole('button', {name: 'Send'}).click();
        await untilText(page, '.message.sent', /set.*on$/);
        await untilText(page, '.message.answer', /set.*you said: on$/);
    });

    it('explains a message that cannot be', async () => {
        const form = page.locator('.panel form');

        await choose('Hex', '.panel form');
        await form.locator('textarea').fill('0x1');
        await form.getByRole('button', {name: 'Send'}).click();
        await untilText(page, '.panel form .problem', /Two digits for each byte/);
        await form.locator('textarea').fill('0x01 ff');
        await form.getByRole('button', {name: 'Send'}).click();
        await page.waitForFunction(() =>
            document.querySelectorAll('.message.answer').length === 2);
    });

    it('disconnects a device, after asking, with a reason', async () => {
        const row = await openFirst();

        await page.click('text=Disconnect …');
        await page.fill('dialog input', 'maintenance');
        await page.click('dialog >> text=Cancel');
        assert.equal(mock.actions.at(-1)?.action === 'disconnect', false);
        await page.click('text=Disconnect …');
        await page.fill('dialog input', 'maintenance');
        await page.click('dialog .danger');
        await untilText(page, '.panel .banner', /not connected any more/);
        await page.waitForSelector('.panel .banner:not([hidden])');
        assert.deepEqual(mock.actions.at(-1),
            {id: row.id, action: 'disconnect', reason: 'maintenance'});
    });

    it('bans a device for a time', async () => {
        const row = await openFirst();

        await page.click('text=Ban …');
        await page.selectOption('dialog select', {label: 'a day'});
        await page.click('dialog .danger');
        await untilText(page, '.toast', /is banned|is disconnected/);
        await page.waitForSelector('.panel .banner:not([hidden])');
        assert.deepEqual(mock.actions.at(-1), {id: row.id, action: 'ban', seconds: 86400});
        assert.deepEqual(mock.bans.map((ban) => ban.address), [row.address]);
    });

    it('lists bans among the events, and lifts them', async () => {
        const [{address}] = mock.bans;

        await page.goto(`${mock.url}#/events`);
        await untilText(page, '.bans tbody th', new RegExp(address.replaceAll('.', '\\.')));
        await page.click('.bans button');
        await page.waitForSelector('.bans', {state: 'hidden'});
        assert.deepEqual(mock.bans, []);
    });

    it('fits a phone, where the panel is the page', async () => {
        const phone = await openPage(browser, SIZES.phone);

        await logIn(phone, mock.url, 'secret');
        await phone.goto(`${mock.url}#/devices`);
        await phone.locator('.vspace .vrow:not([hidden])').first().tap();
        await phone.waitForSelector('.panel');
        assert.equal(await phone.isVisible('.vlist'), false);
        assert.equal(await phone.evaluate(() => document.documentElement.scrollWidth), 390);
        await phone.click('.panel-head button');
        await phone.waitForSelector('.vlist', {state: 'visible'});
        assert.deepEqual(phone.problems, []);
        await phone.context().close();
    });
});
