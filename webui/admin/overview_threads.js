/*
 * webui/admin/overview_threads.js — what each thread has to do, and how full its lanes are: where
 * an operator sees what threads.io and threads.router do.
 */
import {Chart} from './charts.js';
import {h, setText} from './dom.js';
import * as format from './format.js';

const WORKERS = ['io', 'router']; /* they have the charts; the others do next to nothing */
const COLOURS = ['--chart-1', '--chart-2', '--chart-3', '--chart-4', '--chart-5', '--chart-6'];
const CHARTED_MAX = COLOURS.length;

/* Heading, hint, and the cell's text. */
const COLUMNS = [
    ['Lane', 'Envelopes that wait in its lanes, of the room they have', (actor) => actor.lane_room ?
        `${format.count(actor.lane_depth)} of ${format.count(actor.lane_room)}` : format.NOTHING],
    ['Held up', 'Turns each second that waited for a full lane', (actor) =>
        format.short(actor.backlogs)],
    ['Turns/s', 'Times around its loop', (actor) => format.short(actor.turns)],
    ['Sleeps/s', 'Turns that found nothing to do', (actor) => format.short(actor.sleeps)],
    ['Envelopes/s', 'Taken from its lanes', (actor) => format.short(actor.envelopes)],
    ['Connections', '', (actor) => actor.kind === 'io' ? format.count(actor.connections) :
        format.NOTHING],
];

export class ThreadsSection {
    /** @param {import('./charts.js').ChartGroup} group */
    constructor(group) {
        this.group = group;
        this.rows = new Map();
        this.charts = [];
        this.body = h('tbody', {});
        this.chartRoom = h('div', {class: 'charts'});
        this.element = h('section', {class: 'threads', 'aria-label': 'Threads'},
            h('div', {class: 'section-head'}, h('h2', {}, 'Threads'),
                h('p', {class: 'muted small'}, 'Set with ', h('code', {}, 'threads.io'), ' and ',
                    h('code', {}, 'threads.router'), '. The charts begin when this page is opened.')),
            h('div', {class: 'table-wrap', tabindex: '0', role: 'region', 'aria-label': 'Threads'},
                h('table', {class: 'table'},
                    h('thead', {}, h('tr', {}, h('th', {}, 'Thread'), h('th', {}, 'Load'),
                        ...COLUMNS.map(([title, hint]) =>
                            h('th', {class: 'number', title: hint}, title)))), this.body)),
            this.chartRoom);
    }

    /** @param {object} stats  @param {import('./history.js').ActorHistory} history */
    update(stats, history) {
        const wanted = new Set(stats.actors.map((actor) => actor.name));

        stats.actors.forEach((actor) => this.showRow(actor));
        for (const [name, row] of this.rows) {
            if (wanted.has(name))
                continue;
            row.element.remove();
            this.rows.delete(name);
        }
        this.showCharts(stats, history);
    }

    showRow(actor) {
        if (!this.rows.has(actor.name))
            this.rows.set(actor.name, this.makeRow(actor));
        const {load, bar, cells} = this.rows.get(actor.name);

        setText(load, format.percent(actor.load));
        bar.style.setProperty('--share', String(Math.min(1, actor.load)));
        bar.parentElement.classList.toggle('is-high', actor.load > 0.9);
        cells.forEach((cell, i) => setText(cell, COLUMNS[i][2](actor)));
        cells[1].classList.toggle('is-warned', actor.backlogs > 0);
    }

    makeRow(actor) {
        const load = h('span', {class: 'number'});
        const bar = h('span', {});
        const cells = COLUMNS.map(() => h('td', {class: 'number'}));
        const element = h('tr', {}, h('th', {scope: 'row'}, actor.name),
            h('td', {}, h('div', {class: 'load'}, h('span', {class: 'meter'}, bar), load)), ...cells);

        this.body.append(element);
        return {element, load, bar, cells};
    }

    showCharts(stats, history) {
        const which = stats.actors.map((actor, i) => WORKERS.includes(actor.kind) ? i : -1)
            .filter((i) => i >= 0).slice(0, CHARTED_MAX);
        const names = which.map((i) => stats.actors[i].name);

        if (names.join() !== this.chartedNames) {
            this.chartedNames = names.join();
            this.charts.forEach(({chart}) => chart.destroy());
            const series = names.map((name, i) => [name, COLOURS[i]]);

            this.charts = [
                {what: 'load', chart: new Chart(this.group, {title: 'Load by thread', series,
                    show: format.percent, least: 0.1})},
                {what: 'lane_depth', chart: new Chart(this.group, {title: 'Envelopes waiting in lanes',
                    series, show: format.short, least: 8})},
            ];
            this.chartRoom.replaceChildren(...this.charts.map(({chart}) => chart.element));
        }
        this.charts.forEach(({what, chart}) => chart.setRows(history.rows(what, which)));
    }
}
