/*
 * webui/admin/main.js — the shell: who is logged in, which page is shown, is the broker there.
 *
 * A page is a function of (root, context) that fills root and returns {show(rest), leave()}: show
 * is called when only what stands behind the page's name in the address changes.
 */
import * as api from './api.js';
import {Broker} from './broker.js';
import {devicesPage} from './devices.js';
import {toast} from './dom.js';
import {EventLog} from './event_log.js';
import {eventsPage} from './events.js';
import * as format from './format.js';
import {loginPage} from './login.js';
import {overviewPage} from './overview.js';
import {topicsPage} from './topics.js';

const PAGES = {
    overview: ['Overview', overviewPage],
    devices: ['Devices', devicesPage],
    topics: ['Topics', topicsPage],
    events: ['Events', eventsPage],
};
const LOST_AFTER_MS = 800; /* a connection that comes back sooner is no news */
const STAY_MS = 240000;
const ENDED = 'Your log-in has ended. Log in again to go on where you were.';

const element = (id) => document.getElementById(id);
const main = element('main');

let session; /* undefined: nobody has logged in */
let broker;
let eventLog;
let current; /* {name, page} */
let lostSince = 0;
let stayTimer;

/* ---- pages ---- */

/** "#/devices/0.1.2" → ["devices", "0.1.2"] */
function place() {
    const [, name, rest = ''] = /^#\/(\w+)\/?(.*)$/.exec(location.hash) ?? [];

    return name in PAGES ? [name, rest] : ['overview', ''];
}

function show() {
    if (!session || (location.hash !== '' && !location.hash.startsWith('#/')))
        return; /* the skip link */
    const [name, rest] = place();

    if (current?.name !== name) {
        const [title, makePage] = PAGES[name];

        current?.page.leave();
        main.replaceChildren();
        document.title = `${title} · ${session.host ?? 'smqd'}`;
        main.className = `page page-${name}`;
        current = {name, page: makePage(main, {broker, session, eventLog})};
        for (const link of element('tabs').children) {
            if (link.getAttribute('href') === `#/${name}`)
                link.setAttribute('aria-current', 'page');
            else
                link.removeAttribute('aria-current');
        }
        scrollTo(0, 0);
    }
    current.page.show?.(decodeURIComponent(rest));
}

/* ---- the line ---- */

function showLine() {
    const badge = element('status');

    if (broker.isUp) {
        lostSince = 0;
        badge.className = 'badge good';
        element('status-text').textContent = 'Live';
        element('lost').hidden = true;
        document.body.classList.remove('is-lost');
        return;
    }
    lostSince ||= performance.now();
    const isNews = broker.failedCount > 0 && performance.now() - lostSince >= LOST_AFTER_MS;

    badge.className = isNews ? 'badge bad' : 'badge';
    element('status-text').textContent = isNews ? 'Connection lost' : 'Connecting';
    if (!isNews)
        return;
    const seconds = Math.max(0, Math.ceil((broker.retryAt - performance.now()) / 1000));

    element('lost-text').textContent = broker.retryAt === Infinity ?
        `The broker has ended this connection: ${broker.message}. Reload the page to go on.` :
        'The connection to the broker is lost. What you see is what was last known. ' +
        (seconds > 0 ? `Trying again in ${format.duration(seconds)}.` : 'Trying again now …');
    element('lost').hidden = false;
    document.body.classList.add('is-lost');
}

/* ---- log-in ---- */

/* Requests keep a log-in, and a live line is none. Nobody looks at a hidden page: that one may end. */
function stay() {
    if (broker.isUp && document.visibilityState === 'visible')
        api.session().then((who) => who ?? leave(ENDED), () => {});
}

function enter(who) {
    session = who;
    stayTimer = setInterval(stay, Math.min(STAY_MS, (who.session_ms ?? Infinity) / 3));
    broker = new Broker(session);
    eventLog = new EventLog(broker, showEventCount);
    broker.watch(showLine);
    element('topbar').hidden = false;
    element('host').textContent = session.host ?? '';
    show();
}

/** @param {string} [why]  when it was not the user's will */
function leave(why) {
    if (!session)
        return;
    const {user} = session;

    current?.page.leave();
    broker.close();
    clearInterval(stayTimer);
    session = broker = current = undefined;
    element('topbar').hidden = true;
    element('lost').hidden = true;
    document.body.classList.remove('is-lost');
    askWho(why, user);
}

function askWho(why, user) {
    main.className = 'page page-login';
    document.title = 'Log in · smqd';
    loginPage(main, enter, why, user);
}

async function logOut() {
    try {
        await api.post('logout');
        leave();
    } catch (error) {
        toast(error.message, 'bad');
    }
}

function showEventCount(count) {
    const badge = element('events-count');

    if (current?.name === 'events')
        count = eventLog.seen();
    badge.hidden = count === 0;
    badge.textContent = count > 99 ? '99+' : String(count);
    badge.title = format.plural(count, 'new warning or error', 'new warnings and errors');
}

/* ---- keys ---- */

function onKey(event) {
    const isTyping = event.target.closest('input, textarea, select, dialog');

    if (event.key !== '/' || isTyping || event.ctrlKey || event.metaKey || event.altKey)
        return;
    const search = main.querySelector('[data-search]');

    if (search) {
        event.preventDefault();
        search.focus();
    }
}

async function start() {
    api.whenLoggedOut(() => leave(ENDED));
    addEventListener('hashchange', show);
    document.addEventListener('keydown', onKey);
    element('log-out').addEventListener('click', logOut);
    setInterval(() => session && !broker.isUp && showLine(), 500);
    try {
        const who = await api.session();

        if (who)
            enter(who);
        else
            askWho();
    } catch (error) {
        main.textContent = error.message;
        setTimeout(start, 2000);
    }
}

start();
