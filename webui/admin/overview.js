/* webui/admin/overview.js — how the broker is: figures of this second, charts of the last hour. */
import {Chart, ChartGroup} from './charts.js';
import {configSection} from './config_view.js';
import {h, segmented, setText} from './dom.js';
import * as format from './format.js';
import {ActorHistory, History, HOUR_MS, sum} from './history.js';
import {connectionsCard, handshakesCard, memoryCard, certificatesCard, reasonsCard}
    from './overview_cards.js';
import {scriptsSection} from './overview_scripts.js';
import {ThreadsSection} from './overview_threads.js';

const SPANS = [[String(HOUR_MS / 12), '5 min'], [String(HOUR_MS / 4), '15 min'],
    [String(HOUR_MS), '1 hour']];

const perSecond = (value) => value === undefined || value === null ? format.NOTHING :
    `${format.short(value)}/s`;
const bytesPerSecond = (value) => value === undefined || value === null ? format.NOTHING :
    `${format.bytes(value)}/s`;

/* Title, what a line shows, and the series of api/history with their colours. */
const CHARTS = [
    {title: 'Messages', show: perSecond, least: 1,
        names: ['messages_in', 'messages_out'],
        series: [['in', '--chart-1'], ['out', '--chart-2']]},
    {title: 'Delivery time', show: format.micros, least: 20,
        names: ['p50_us', 'p99_us'],
        series: [['p50', '--chart-1'], ['p99', '--chart-3']]},
    {title: 'Bytes', show: bytesPerSecond, least: 1024, isBinary: true,
        names: ['bytes_in', 'bytes_out'],
        series: [['in', '--chart-1'], ['out', '--chart-2']]},
    {title: 'Connections', show: format.short, least: 4,
        names: ['connections'], series: [['open', '--chart-1']]},
    {title: 'Memory', show: format.bytes, least: 1 << 20, isBinary: true,
        names: ['memory'], series: [['used', '--chart-4']]},
    {title: 'Drops', show: perSecond, least: 1,
        names: ['drops'], series: [['messages', '--chart-5']]},
];

/* Title, and from the statistics: the figure, a line below it, and perhaps a share of one. */
const TILES = [
    ['Connections', (s) => [format.count(s.connections.open),
        format.plural(s.connections.live, 'is a client', 'are clients')]],
    ['Messages in', (s) => [perSecond(s.rates.messages_in), bytesPerSecond(s.rates.bytes_in)]],
    ['Messages out', (s) => [perSecond(s.rates.messages_out), bytesPerSecond(s.rates.bytes_out)]],
    ['Delivery', (s) => [format.micros(s.latency_us.p50),
        `p99 ${format.micros(s.latency_us.p99)}`]],
    ['Memory', (s) => [format.bytes(s.memory.rss_bytes), `${
        format.percent(s.memory.rss_bytes / s.memory.limit_bytes)} of ${
        format.bytes(s.memory.limit_bytes)}`, s.memory.rss_bytes / s.memory.limit_bytes]],
    ['Processor', (s) => [format.percent(sum(s.actors, (actor) => actor.load)),
        'of one core']],
    ['Drops', (s) => [perSecond(sum(s.drops, (drop) => drop.rate)),
        `${format.short(sum(s.drops, (drop) => drop.total))} since start`]],
];

function tiles() {
    const made = TILES.map(([title, read]) => {
        const figure = h('dd', {class: 'tile-figure number'}, format.NOTHING);
        const note = h('dd', {class: 'muted small number'}, '\u00a0');
        const meter = h('dd', {class: 'meter', hidden: true}, h('span', {}));

        return {read, figure, note, meter,
            element: h('div', {class: 'card tile'}, h('dt', {class: 'muted small'}, title), figure,
                note, meter)};
    });

    return {
        element: h('dl', {class: 'tiles'}, ...made.map(({element}) => element)),
        update(stats) {
            for (const {read, figure, note, meter} of made) {
                const [value, text, share] = read(stats);

                setText(figure, value);
                setText(note, text);
                meter.hidden = share === undefined;
                meter.firstChild.style.setProperty('--share', String(Math.min(1, share ?? 0)));
                meter.classList.toggle('is-high', share > 0.9);
            }
        },
    };
}

export function overviewPage(root, {broker}) {
    const summary = h('p', {class: 'muted', role: 'status'}, 'Waiting for the first figures …');
    const group = new ChartGroup();
    const history = new History();
    const actors = new ActorHistory();
    const charts = CHARTS.map((options) => ({options, chart: new Chart(group, options)}));
    const threads = new ThreadsSection(group);
    const parts = [tiles(), connectionsCard(), handshakesCard(), memoryCard(), reasonsCard(
        'Messages not delivered', 'drops', 'Every message has reached its receivers.'),
    reasonsCard('Connections that ended', 'closed', 'None has ended since the start.'),
    certificatesCard(), scriptsSection()];
    const [tilesPart, ...cards] = parts;
    const scripts = cards.pop();

    let hasHistory = false;

    function drawCharts() {
        charts.forEach(({chart, options}) => chart.setRows(history.rows(options.names)));
    }

    async function loadHistory() {
        try {
            await history.load();
            drawCharts();
        } catch {
            /* the charts begin now */
        } finally {
            hasHistory = true;
        }
    }

    function onStats(stats) {
        setText(summary, `Up for ${format.duration(stats.uptime_s)}`);
        parts.forEach((part) => part.update(stats));
        actors.add(stats);
        threads.update(stats, actors);
        if (hasHistory && history.add(stats))
            drawCharts();
    }

    group.setSpan(Number(SPANS[0][0]));
    root.append(
        h('div', {class: 'page-head'}, h('div', {}, h('h1', {}, 'Overview'), summary),
            segmented('Charts show the last', SPANS, SPANS[0][0],
                (value) => group.setSpan(Number(value)))),
        tilesPart.element,
        h('section', {class: 'charts', 'aria-label': 'Charts'},
            ...charts.map(({chart}) => chart.element)),
        threads.element,
        scripts.element,
        h('section', {class: 'cards', 'aria-label': 'Figures in detail'},
            ...cards.map((card) => card.element)),
        configSection());
    const unsubscribe = broker.subscribe('stats', onStats);
    const unwatch = broker.watch(() => broker.isUp && loadHistory());

    return {
        leave() {
            unsubscribe();
            unwatch();
            group.destroy();
        },
    };
}
