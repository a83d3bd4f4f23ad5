/*
 * tests/web/ui/browser.mjs — Debian's chromium, and a page that keeps what goes wrong in it.
 *
 * Everything a page complains of is a failure: an exception, an error in the console, anything the
 * Content-Security-Policy refuses. A test that expects one takes it out of page.problems.
 */
import {existsSync} from 'node:fs';

const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const ARGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync'];

/** A test that takes as long as this hangs; a busy machine does not take so long. */
export const HANG = {timeout: 400000};
const STEP_MS = 60000; /* the same for one step of it */

export const SIZES = {
    desktop: {viewport: {width: 1280, height: 800}},
    phone: {viewport: {width: 390, height: 844}, isMobile: true, hasTouch: true,
        deviceScaleFactor: 2},
};

async function findPlaywright() {
    try {
        return (await import('playwright-core')).chromium;
    } catch {
        return undefined;
    }
}

const chromium = await findPlaywright();

/** Why there can be no browser tests here; false when there can. */
export const skip = !chromium ? 'no playwright-core: npm ci in tests/web' :
    !existsSync(CHROMIUM) && `${CHROMIUM} is not there: scripts/apt-install.sh test`;

/** With a profile of its own, which goes with it. */
export function openBrowser() {
    return chromium.launch({executablePath: CHROMIUM, args: ARGS});
}

/**
 * A page of its own world: no cookies of others.
 * @param {object} options  of playwright's newContext: SIZES.phone, {colorScheme: 'dark'} ...
 */
export async function openPage(browser, options = SIZES.desktop) {
    const context = await browser.newContext({reducedMotion: 'reduce', ...options});
    const page = await context.newPage();

    page.setDefaultTimeout(STEP_MS);
    page.problems = [];
    page.on('pageerror', (error) => page.problems.push(error.message));
    page.on('console', (message) => message.type() === 'error' && !isExpected(message) &&
        page.problems.push(message.text()));
    return page;
}

/* The browser writes of each 401, and of each WebSocket that finds nobody. */
function isExpected(message) {
    return /status of 401|WebSocket connection to .* failed/.test(message.text());
}

export async function logIn(page, url, password, user = 'admin') {
    await page.goto(url);
    await page.fill('[name=user]', user);
    await page.fill('[name=password]', password);
    await page.click('.login button');
    await page.waitForSelector('#topbar:not([hidden])');
}

/** Wait until @selector's text matches, and say what it was when it never does. */
export async function untilText(page, selector, pattern) {
    const locator = page.locator(selector).first();
    const isRight = ({selector: where, source, flags}) => {
        const text = document.querySelector(where)?.textContent ?? '';

        return new RegExp(source, flags).test(text.replaceAll('\u202f', ' '));
    };

    try {
        await page.waitForFunction(isRight,
            {selector, source: pattern.source, flags: pattern.flags});
    } catch {
        const text = await locator.textContent({timeout: 1000}).catch(() => '(is not there)');

        throw new Error(`${selector} never matched ${pattern}: ${text}`);
    }
}
