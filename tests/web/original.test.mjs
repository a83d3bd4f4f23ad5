/*
 * A page written for the original client (original/index.html), unchanged, in chromium, from
 * web.root of the real server: all of the public interface, by what the page's callbacks hear.
 */
import assert from 'node:assert/strict';
import {scryptSync} from 'node:crypto';
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {after, before, describe, it} from 'node:test';
import {fileURLToPath} from 'node:url';

import {HANG, openBrowser, openPage, skip} from './ui/browser.mjs';
import {Server, skipServer} from './ui/server.mjs';

const PAGES = fileURLToPath(new URL('original/', import.meta.url));

/* A line as `smq passwd` writes it, with a small N. */
function account(user, password) {
    const salt = Buffer.from('saltsaltsaltsalt');
    const digest = scryptSync(password, salt, 32, {N: 1 << 10, r: 8, p: 1});
    const [saltText, digestText] = [salt, digest].map((bytes) =>
        bytes.toString('base64').replace(/=+$/, ''));

    return `${user}:$scrypt$ln=10,r=8,p=1$${saltText}$${digestText}\n`;
}

describe('a page of the original', {skip: skip || skipServer, ...HANG}, () => {
    const server = new Server([`web.root=${PAGES}`, 'web.ui=/admin']);
    let browser;
    let page;

    before(async () => {
        const users = join(server.data, 'members');

        writeFileSync(users, account('alice', 'secret'), {mode: 0o600});
        server.configure(`instance "/smq.lsp" {}
            instance "/members.lsp" { auth = "password" users = "${users}" }`);
        await server.start();
        browser = await openBrowser();
        page = await openPage(browser);
        await page.goto(server.http);
    });

    after(async () => {
        assert.deepEqual(page.problems, []);
        await browser.close();
        await server.destroy();
    });

    /* What @name was called with, once it was called so often; and it is forgotten. */
    async function seen(name, count = 1) {
        await page.waitForFunction(([what, least]) => (seen[what] ?? []).length >= least,
            [name, count]);
        return page.evaluate((what) => seen[what].splice(0).map((values) => values.map((value) =>
            value instanceof Uint8Array ? [...value] : value)), name);
    }

    /* What @body, a function of the page, returns. */
    const run = (body, argument) => page.evaluate(body, argument);
    const etid = () => run(() => smq.gettid());

    it('is let in, with its address, the seed and its IP', async () => {
        const [[id, seed, ip]] = await seen('onconnect');

        assert.equal(id, await etid());
        assert.equal(ip, '127.0.0.1');
        assert.deepEqual(await seen('onauth'), [[seed, ip]]);
    });

    it('hears what it asked for before there was a connection', async () => {
        const [tid, sub] = await run(() => [smq.topic2tid('chat'), smq.subtopic2tid('hello')]);
        const [other, dataTid] = await run(() => [smq.topic2tid('other'), smq.topic2tid('data')]);
        const otherSub = await run(() => smq.subtopic2tid('sub'));
        const me = await etid();

        assert.deepEqual(await seen('helloAck'), [[true, 'chat', tid, 'hello', sub]]);
        assert.deepEqual((await seen('chatAck'))[0].slice(0, 3), [true, 'chat', tid]);
        assert.deepEqual((await seen('numberedAck'))[0], [true, 'self', me, 1, 1]);
        assert.deepEqual((await seen('other'))[0].slice(0, 3), [true, 'other', other]);
        assert.deepEqual(await seen('otherSub'), [[true, 'other', other, 'sub', otherSub]]);
        assert.deepEqual(await seen('alone'),
            [[true, 'alone', await run(() => smq.subtopic2tid('alone'))]]);
        assert.deepEqual(await seen('hello'), [['queued', me, tid, sub]]);
        assert.deepEqual(await seen('chat', 2),
            [[[1, 2, 255], me, tid, 0], [[3, 4], me, tid, otherSub]]);
        assert.deepEqual(await seen('data'), [[{queued: [1, null]}, me, dataTid, 0]]);
    });

    it('knows names and numbers both ways', async () => {
        assert.deepEqual(await run(() => [smq.tid2topic(smq.topic2tid('chat')),
            smq.tid2subtopic(smq.subtopic2tid('hello')), smq.topic2tid('never heard of'),
            smq.tid2topic(4711), smq.subtopic2tid('never'), smq.tid2subtopic(4711)]),
        ['chat', 'hello', undefined, undefined, undefined, undefined]);
    });

    it('asks a service, which answers to its address', async () => {
        await seen('serviceAck');
        await run(() => smq.publish('what time?', 'service', 'time'));
        const from = await run(() => service.gettid());
        const me = await etid();

        assert.deepEqual((await seen('answer'))[0].slice(0, 3), ['noon, what time?', from, me]);
        assert.deepEqual(await seen('numbered'), [['one', from, me, 1]]);
        assert.deepEqual((await seen('onmsg'))[0].slice(0, 3),
            [[...Buffer.from('for all')], from, me]);
    });

    it('observes a topic by its name and its number, and a client by its address', async () => {
        await run(() => {
            smq.observe('room', note('room'));
            window.guest = new SMQ.Client(SMQ.wsURL('/smq.lsp'));
            guest.subscribe('room', {onack: note('guestAck')});
        });
        await seen('guestAck');
        assert.deepEqual(await seen('room', 2), [[0, 'room'], [1, 'room']]);
        const guest = await run(() => {
            smq.observe(guest.gettid(), note('guest'));
            smq.observe(smq.topic2tid('chat'), note('chatCount'));
            return window.guest.gettid();
        });

        assert.deepEqual(await seen('chatCount'), [[1, 'chat']]);
        await run(() => window.guest.disconnect());
        assert.deepEqual(await seen('guest'), [[0, guest]]);
        assert.deepEqual(await seen('room'), [[0, 'room']]);
        await run(() => smq.unobserve('room'));
        await run(() => clean.subscribe('room', {onack: note('roomAck')}));
        await seen('roomAck');
        await run(() => smq.subscribe('barrier', {onack: note('barrier')}));
        await seen('barrier');
        assert.deepEqual(await run(() => window.seen.room), []);
    });

    it('hears no more of what it unsubscribed', async () => {
        await run(() => {
            smq.unsubscribe('data');
            smq.pubjson('unheard', 'data');
            smq.publish('heard', 'chat', 'hello');
        });
        assert.deepEqual((await seen('hello')).map(([text]) => text), ['heard']);
        assert.deepEqual(await run(() => window.seen.data), []);
    });

    it('shows credentials where they are asked for', async () => {
        await run(() => logIn('alice:secret'));
        assert.equal((await seen('member')).length, 1);
        await run(() => logIn('alice:guess'));
        const [[reason, canreconnect]] = await seen('memberClose');

        assert.match(reason, /\w/);
        assert.equal(canreconnect, false);
    });

    it('comes back with its subscriptions when the server was restarted', async () => {
        await seen('cleanAck');
        await server.stop();
        assert.equal((await seen('onclose'))[0][1], true);
        await run(() => smq.publish('from the queue', 'chat', 'hello'));
        await server.start();
        const [[id]] = await seen('onreconnect');

        assert.equal(id, await etid());
        assert.deepEqual((await seen('hello')).map(([text]) => text), ['from the queue']);
        await seen('cleanAck');
        await run(() => {
            smq.publish('anew', 'clean');
            smq.publish('not restored', 'before');
            smq.publish('barrier', 'clean');
        });
        assert.deepEqual((await seen('clean', 2)).map(([text]) => text), ['anew', 'barrier']);
        assert.equal(await run(() => window.seen.before), undefined);
        assert.equal(await run(() => window.seen.onconnect.length), 0);
        page.problems = page.problems.filter((text) => !/net::ERR_/.test(text));
    });

    it('says goodbye', async () => {
        await run(() => {
            window.seen.onclose = [];
            clean.observe(smq.gettid(), note('smqGone'));
            clean.subscribe('barrier', {onack: note('barrier')});
        });
        await seen('barrier');
        const id = await etid();

        await run(() => smq.disconnect());
        assert.deepEqual(await seen('smqGone'), [[0, id]]);
        assert.equal(await etid(), undefined);
        assert.deepEqual(await run(() => window.seen.onclose), []);
    });
});
