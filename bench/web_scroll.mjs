/*
 * bench/web_scroll.mjs — what scrolling the Devices page costs, frame by frame.
 *
 *      npm ci --prefix tests/web; node bench/web_scroll.mjs [DEVICES]      default 20000
 *
 * The list is scrolled by 100 pixels each frame for ten seconds while make-believe devices come
 * and go and the counters on the screen are asked for, as in ordinary use. Two figures: the time
 * from one frame to the next (16.7 ms at 60 Hz; a stutter is a longer one), and how long the
 * page's own thread was busy for each. Chromium draws without a GPU here, so real machines do
 * better. The devices live in a process of their own.
 */
import {fork} from 'node:child_process';
import {fileURLToPath} from 'node:url';

import {logIn, openBrowser, openPage, skip, untilText} from '../tests/web/ui/browser.mjs';

const SECONDS = 10;
const PIXELS_A_FRAME = 100;
const FRAME_MS = 16.7;
const devices = Number(process.argv[2] ?? 20000);

if (skip)
    throw new Error(skip);

/* Each frame's time of arrival. */
function scroll({seconds, pixels}) {
    const list = document.querySelector('.vlist');
    const end = performance.now() + seconds * 1000;
    const frames = [];
    let step = pixels;

    return new Promise((resolve) => {
        requestAnimationFrame(function frame(now) {
            frames.push(now);
            const before = list.scrollTop;

            list.scrollTop += step;
            if (list.scrollTop === before)
                step = -step; /* at an end: back */
            if (now < end)
                requestAnimationFrame(frame);
            else
                resolve(frames);
        });
    });
}

const mock = fork(fileURLToPath(new URL('../tests/web/mock/server.mjs', import.meta.url)),
    ['--port', '0', '--peers', String(devices)], {silent: true});
const url = await new Promise((resolve) => mock.stdout.once('data', (text) =>
    resolve(/^\S+/.exec(text)[0])));
const browser = await openBrowser();

try {
    const page = await openPage(browser);
    const cdp = await page.context().newCDPSession(page);
    const busy = async () => {
        const {metrics} = await cdp.send('Performance.getMetrics');

        return Object.fromEntries(metrics.map(({name, value}) => [name, value]));
    };

    await cdp.send('Performance.enable');
    await logIn(page, url, 'secret');
    await page.goto(`${url}#/devices`);
    await untilText(page, '.page-head .muted', /^[\d,]+ devices connected$/);
    const before = await busy();
    const frames = await page.evaluate(scroll, {seconds: SECONDS, pixels: PIXELS_A_FRAME});
    const after = await busy();
    const gaps = frames.slice(1).map((at, i) => at - frames[i]).sort((a, b) => a - b);
    const at = (share) => gaps[Math.min(gaps.length - 1, Math.floor(share * gaps.length))];
    const each = (name) => (after[name] - before[name]) * 1000 / gaps.length;

    console.log(`${devices} devices, ${gaps.length} frames in ${SECONDS} s`);
    console.log(`from frame to frame: p50 ${at(0.5).toFixed(1)} ms, p99 ${at(0.99).toFixed(1)} ms, ` +
        `longest ${gaps.at(-1).toFixed(1)} ms; ${gaps.filter((gap) => gap > 1.5 * FRAME_MS).length} late`);
    console.log(`the page's thread: ${each('TaskDuration').toFixed(2)} ms a frame, of it scripts ` +
        `${each('ScriptDuration').toFixed(2)}, style ${each('RecalcStyleDuration').toFixed(2)}, ` +
        `layout ${each('LayoutDuration').toFixed(2)}`);
} finally {
    await browser.close();
    mock.kill();
}
