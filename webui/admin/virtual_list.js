/*
 * webui/admin/virtual_list.js — a table of any length, of which only what is seen exists.
 *
 *      the scroller (role grid, has the focus)
 *        header            sticks to the top; its buttons sort
 *        spacer            as high as all rows together
 *          row row row     about 30 of them, moved and filled again while scrolling
 *
 * All rows have the same height (--row-height in the style sheet), so where a row is needs no
 * measuring. A row's element is chosen by index modulo the pool: scrolling by one row fills one.
 */
import {freshId, h} from './dom.js';

const OVERSCAN = 8; /* rows beyond what is seen, on each side */

/**
 * @typedef {object} Column
 * @property {string} key
 * @property {string} title
 * @property {boolean} [isNumber]
 * @property {string} [hint]
 */

export class VirtualList {
    /**
     * @param {object} options
     * @param {string} options.label
     * @param {string} options.name  a class for the style sheet: columns and their widths
     * @param {Column[]} options.columns
     * @param {(cells: HTMLElement[], item: any, row: HTMLElement) => void} options.fill
     * @param {(item: any) => void} options.onopen
     * @param {(key: string) => void} options.onsort
     */
    constructor(options) {
        this.options = options;
        this.items = [];
        this.pool = [];
        this.active = -1; /* index of the row the keyboard is on */
        this.opened = undefined; /* the item that is open beside the list */
        this.prefix = freshId('row');
        this.heads = options.columns.map((column) => this.head(column));
        this.header = h('div', {class: 'vrow vhead', role: 'row'}, ...this.heads);
        this.spacer = h('div', {class: 'vspace', role: 'rowgroup'});
        this.element = h('div', {class: `vlist ${options.name}`, role: 'grid', tabindex: '0',
            'aria-label': options.label, onscroll: () => this.schedule(),
            onkeydown: (event) => this.onKey(event), onclick: (event) => this.onClick(event)},
        h('div', {role: 'rowgroup', class: 'vhead-group'}, this.header), this.spacer);
        this.sizes = new ResizeObserver(() => this.measure());
        this.sizes.observe(this.element);
    }

    destroy() {
        this.sizes.disconnect();
        cancelAnimationFrame(this.frame);
    }

    head(column) {
        const {key, title, isNumber, hint} = column;

        return h('div', {class: `vcell col-${key} ${isNumber ? 'number' : ''}`,
            role: 'columnheader', 'aria-sort': 'none'},
        h('button', {type: 'button', class: 'sort', title: hint,
            onclick: () => this.options.onsort(key)}, title));
    }

    showSort(key, isDescending) {
        this.options.columns.forEach((column, i) => {
            this.heads[i].setAttribute('aria-sort', column.key !== key ? 'none' :
                isDescending ? 'descending' : 'ascending');
        });
    }

    /** @param {any[]} items  kept, not copied; call again when they change */
    setItems(items) {
        const current = this.items[this.active];

        if (current && items[this.active] !== current)
            this.active = items.indexOf(current);
        this.items = items;
        this.element.setAttribute('aria-rowcount', String(items.length + 1));
        this.spacer.style.height = `${items.length * this.rowHeight}px`;
        this.refresh();
    }

    /** What the rows show has changed. */
    refresh() {
        this.pool.forEach((row) => {
            row.item = undefined;
        });
        this.schedule();
    }

    setOpened(item) {
        this.opened = item;
        this.refresh();
    }

    /** The items that are seen. */
    visible() {
        return this.items.slice(this.first, this.last);
    }

    measure() {
        this.rowHeight = parseFloat(getComputedStyle(this.element)
            .getPropertyValue('--row-height')) || 40;
        this.height = this.element.clientHeight;
        this.spacer.style.height = `${this.items.length * this.rowHeight}px`;
        this.refresh();
    }

    schedule() {
        this.frame ??= requestAnimationFrame(() => this.draw());
    }

    draw() {
        this.frame = undefined;
        if (!this.rowHeight || !this.height)
            return;
        const seen = Math.ceil(this.height / this.rowHeight) + 1;
        const top = Math.floor(this.element.scrollTop / this.rowHeight);

        this.first = Math.max(0, Math.min(top, this.items.length));
        this.last = Math.min(this.items.length, top + seen);
        const from = Math.max(0, this.first - OVERSCAN);
        const to = Math.min(this.items.length, from + seen + 2 * OVERSCAN);

        this.growPool(seen + 2 * OVERSCAN);
        for (let index = from; index < to; index++)
            this.place(this.pool[index % this.pool.length], index);
        for (let slot = to - from; slot < this.pool.length; slot++)
            this.hide(this.pool[(from + slot) % this.pool.length]);
        this.element.setAttribute('aria-activedescendant',
            this.active >= 0 ? `${this.prefix}-${this.active % this.pool.length}` : '');
    }

    growPool(wanted) {
        if (this.pool.length >= wanted)
            return;
        while (this.pool.length < wanted)
            this.pool.push(this.makeRow(this.pool.length));
        this.pool.forEach((row) => {
            row.item = undefined; /* modulo another number now */
        });
    }

    makeRow(slot) {
        const cells = this.options.columns.map(({key, isNumber}) =>
            h('div', {class: `vcell col-${key} ${isNumber ? 'number' : ''}`, role: 'gridcell'}));
        const element = h('div', {class: 'vrow', role: 'row', id: `${this.prefix}-${slot}`},
            ...cells);

        this.spacer.append(element);
        return {element, cells, item: undefined, index: -1};
    }

    place(row, index) {
        const item = this.items[index];

        row.element.classList.toggle('is-active', index === this.active);
        if (row.item === item && row.index === index)
            return;
        if (row.index !== index) {
            row.index = index;
            row.element.style.top = `${index * this.rowHeight}px`;
            row.element.setAttribute('aria-rowindex', String(index + 2));
        }
        row.element.hidden = false;
        row.item = item;
        row.element.classList.toggle('is-opened', item === this.opened);
        row.element.setAttribute('aria-selected', String(item === this.opened));
        this.options.fill(row.cells, item, row.element);
    }

    hide(row) {
        row.item = undefined;
        row.index = -1;
        row.element.hidden = true;
    }

    /* ---- keys and clicks ---- */

    onClick(event) {
        const element = event.target.closest('.vrow:not(.vhead)');
        const row = this.pool.find((each) => each.element === element);

        if (!row || row.index < 0)
            return;
        this.active = row.index;
        this.options.onopen(this.items[row.index]);
        this.schedule();
    }

    onKey(event) {
        if (event.target !== this.element || event.ctrlKey || event.metaKey || event.altKey)
            return;
        const page = Math.max(1, Math.floor(this.height / this.rowHeight) - 2);
        const steps = {ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page,
            Home: -Infinity, End: Infinity};

        if (event.key in steps) {
            event.preventDefault();
            this.moveTo(this.active < 0 && event.key !== 'End' ? this.first :
                this.active + steps[event.key]);
        } else if (event.key === 'Enter' && this.items[this.active]) {
            this.options.onopen(this.items[this.active]);
        }
    }

    moveTo(index) {
        const headHeight = this.header.offsetHeight;
        const room = this.height - headHeight;

        this.active = Math.max(0, Math.min(index, this.items.length - 1));
        const top = this.active * this.rowHeight;

        if (top < this.element.scrollTop)
            this.element.scrollTop = top;
        else if (top + this.rowHeight > this.element.scrollTop + room)
            this.element.scrollTop = top + this.rowHeight - room;
        this.schedule();
    }
}
