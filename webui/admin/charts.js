/*
 * webui/admin/charts.js — lines over time, by dygraphs (Debian's libjs-dygraphs).
 *
 * The title and the values stand above the chart as text; the canvas only draws. Pointing at one
 * chart shows that moment in all of its group. A chart that is not on the screen is not drawn.
 */
import {h, setText} from './dom.js';
import * as format from './format.js';

let loading;

/** dygraphs is a classic script and sets a global. */
function loadDygraph() {
    loading ??= new Promise((resolve, reject) => {
        document.head.append(
            h('link', {rel: 'stylesheet', href: 'dygraph.min.css'}),
            h('script', {src: 'dygraph.min.js', onload: () => resolve(withoutLegend()),
                onerror: () => reject(new Error('no charts'))}));
    });
    return loading;
}

/* Its legend sets style attributes, which the Content-Security-Policy forbids; we have our own. */
function withoutLegend() {
    const {Dygraph} = globalThis;

    Dygraph.PLUGINS = Dygraph.PLUGINS.filter((plugin) => plugin !== Dygraph.Plugins.Legend);
    return Dygraph;
}

const dark = matchMedia('(prefers-color-scheme: dark)');

const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Charts that show the same moment and the same span. */
export class ChartGroup {
    constructor() {
        this.charts = new Set();
        this.spanMs = 0;
        this.restyle = () => this.charts.forEach((chart) => chart.make());
        dark.addEventListener('change', this.restyle);
        this.watcher = new IntersectionObserver((entries) => entries.forEach((entry) => {
            const chart = [...this.charts].find((each) => each.room === entry.target);

            chart?.setVisible(entry.isIntersecting);
        }), {rootMargin: '100px'});
    }

    destroy() {
        dark.removeEventListener('change', this.restyle);
        this.watcher.disconnect();
        this.charts.forEach((chart) => chart.destroy());
    }

    setSpan(spanMs) {
        this.spanMs = spanMs;
        this.charts.forEach((chart) => chart.draw());
    }

    point(time) {
        this.charts.forEach((chart) => chart.point(time));
    }
}

/**
 * @typedef {object} Options
 * @property {string} title
 * @property {[string, string][]} series  a label and a colour's token: "--chart-1"
 * @property {(value: number) => string} show
 * @property {boolean} [isBinary]  the scale's steps are of 1024
 * @property {number} [least]  the scale reaches at least so far
 */
export class Chart {
    /** @param {ChartGroup} group  @param {Options} options */
    constructor(group, options) {
        this.group = group;
        this.options = options;
        this.rows = [];
        this.isVisible = false;
        this.legend = options.series.map(([label, colour]) => {
            const value = h('span', {class: 'legend-value number'}, format.NOTHING);
            const swatch = h('span', {class: 'legend-swatch'});

            swatch.style.setProperty('--swatch', `var(${colour})`);
            return {value, element: h('span', {class: 'legend-item'}, swatch, label, value)};
        });
        this.when = h('span', {class: 'chart-when muted number'});
        this.room = h('div', {class: 'chart-room', role: 'img', 'aria-label': options.title});
        this.element = h('figure', {class: 'card chart'},
            h('figcaption', {class: 'chart-head'},
                h('h3', {}, options.title, this.when),
                h('div', {class: 'legend'}, ...this.legend.map(({element}) => element))),
            this.room);
        group.charts.add(this);
        group.watcher.observe(this.room);
        loadDygraph().then((Dygraph) => {
            this.Dygraph = Dygraph;
            this.make();
        }).catch(() => setText(this.room, 'The charts could not be loaded.'));
    }

    destroy() {
        this.graph?.destroy();
        this.graph = undefined;
        this.group.watcher.unobserve(this.room);
        this.group.charts.delete(this);
    }

    setVisible(isVisible) {
        this.isVisible = isVisible;
        this.draw();
    }

    /** @param {(number | null)[][]} rows  time and a value for each series */
    setRows(rows) {
        this.rows = rows;
        this.draw();
    }

    make() {
        if (!this.Dygraph || !this.group.charts.has(this))
            return;
        const {series, show, isBinary} = this.options;

        this.graph?.destroy();
        this.graph = new this.Dygraph(this.room, this.data(), {
            labels: ['time', ...series.map(([label]) => label)],
            colors: series.map(([, colour]) => token(colour)),
            interactionModel: {}, /* a finger on it scrolls the page */
            labelsKMG2: Boolean(isBinary),
            fillGraph: true,
            fillAlpha: 0.1,
            strokeWidth: 1.75,
            gridLineColor: token('--edge'),
            axisLineColor: token('--edge'),
            highlightCircleSize: 3.5,
            includeZero: true,
            xRangePad: 1,
            axes: {
                x: {ticker: this.Dygraph.dateTicker, drawGrid: false, pixelsPerLabel: 44,
                    /* dygraphs also marks half minutes, which would look like the one before */
                    axisLabelFormatter: (value) => value % 60000 === 0 ?
                        format.timeShort(value) : ''},
                y: {axisLabelWidth: 58, pixelsPerLabel: 34, gridLinePattern: [3, 3],
                    axisLabelFormatter: (value) => show(value)},
            },
            highlightCallback: (event, time) => this.group.point(time),
            unhighlightCallback: () => this.group.point(undefined),
            ...this.view(),
        });
        this.drawn = this.rows;
    }

    data() {
        return this.rows.length > 0 ? this.rows :
            [[Date.now(), ...this.options.series.map(() => null)]];
    }

    view() {
        const last = this.rows.at(-1)?.[0] ?? Date.now();
        const first = last - this.group.spanMs;

        return {dateWindow: [first, last], valueRange: [0, this.top(first)]};
    }

    /* Of what is seen, with some air above; a quiet line lies on the ground, not in the middle. */
    top(first) {
        let top = this.options.least ?? 1;

        for (const [time, ...values] of this.rows)
            if (time >= first)
                top = Math.max(top, ...values);
        return top * 1.12;
    }

    draw() {
        if (this.pointed === undefined)
            this.showValues(this.rows.at(-1));
        if (this.graph && this.isVisible)
            this.graph.updateOptions({file: this.data(), ...this.view()});
    }

    point(time) {
        this.pointed = time;
        const at = time === undefined ? -1 : this.rows.findIndex((row) => row[0] >= time);

        setText(this.when, at < 0 ? '' : format.time(this.rows[at][0]));
        this.showValues(this.rows.at(at));
        if (at < 0)
            this.graph?.clearSelection();
        else if (this.isVisible)
            this.graph?.setSelection(at);
    }

    showValues(row) {
        const texts = this.legend.map(({value}, i) => {
            const text = this.options.show(row?.[i + 1]);

            setText(value, text);
            return `${this.options.series[i][0]} ${text}`;
        });

        this.room.setAttribute('aria-label', `${this.options.title}: ${texts.join(', ')}`);
    }
}
