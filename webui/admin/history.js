/*
 * webui/admin/history.js — the last hour of figures: what the server kept, and from then on each
 * second's own. All charts draw from it, so the n-th row is the same moment in all of them.
 */
import * as api from './api.js';

export const HOUR_MS = 3600e3;

/* Each series: its name in api/history, and how it is read from a `stats` object. */
const SERIES = {
    messages_in: (stats) => stats.rates.messages_in,
    messages_out: (stats) => stats.rates.messages_out,
    bytes_in: (stats) => stats.rates.bytes_in,
    bytes_out: (stats) => stats.rates.bytes_out,
    connections: (stats) => stats.connections.open,
    memory: (stats) => stats.memory.used_bytes,
    p50_us: (stats) => stats.latency_us.p50,
    p99_us: (stats) => stats.latency_us.p99,
    drops: (stats) => sum(stats.drops, (drop) => drop.rate),
    cpu: (stats) => sum(stats.actors, (actor) => actor.load),
};

export const sum = (list, read) => list.reduce((total, each) => total + (read(each) ?? 0), 0);

export class History {
    constructor() {
        this.times = []; /* ms, rising */
        this.series = Object.fromEntries(Object.keys(SERIES).map((name) => [name, []]));
        this.stepMs = 2000;
    }

    /** Ask the server for the hour; also after the line was lost, for what we missed. */
    async load() {
        const {step_s: step, t, series} = await api.get('history');
        const length = series.connections?.length ?? 0;
        const newer = this.times.findIndex((time) => time > t);
        const after = newer < 0 ? this.times.length : newer;

        this.stepMs = step * 1000;
        this.times = [...Array.from({length}, (_, i) => t - (length - 1 - i) * this.stepMs),
            ...this.times.slice(after)];
        for (const name of Object.keys(SERIES))
            this.series[name] = [...(series[name] ?? Array(length).fill(null)),
                ...this.series[name].slice(after)];
    }

    /** @param {object} stats  @returns {boolean} whether it is a new point */
    add(stats) {
        if (stats.t - (this.times.at(-1) ?? 0) < this.stepMs * 0.75)
            return false;
        this.times.push(stats.t);
        for (const [name, read] of Object.entries(SERIES))
            this.series[name].push(read(stats) ?? null);
        const old = this.times.findIndex((time) => time >= stats.t - HOUR_MS);

        if (old > 0)
            [this.times, ...Object.values(this.series)].forEach((list) => list.splice(0, old));
        return true;
    }

    /** Rows as the charts want them. @param {string[]} names */
    rows(names) {
        return this.times.map((time, i) => [time, ...names.map((name) => this.series[name][i])]);
    }
}

/** The load and the lane of each thread, since the page was opened. */
export class ActorHistory {
    constructor() {
        this.names = [];
        this.samples = []; /* {t, load, depth}: by the order of names */
    }

    add(stats) {
        const names = stats.actors.map((actor) => actor.name);

        if (names.join() !== this.names.join())
            this.samples = []; /* the server was started again with other threads */
        this.names = names;
        this.samples.push({t: stats.t, load: stats.actors.map((actor) => actor.load),
            lane_depth: stats.actors.map((actor) => actor.lane_depth)});
        while (this.samples[0].t < stats.t - HOUR_MS)
            this.samples.shift();
    }

    /** @param {'load' | 'lane_depth'} what  @param {number[]} which  indices into names */
    rows(what, which) {
        return this.samples.map((sample) => [sample.t, ...which.map((i) => sample[what][i])]);
    }
}
