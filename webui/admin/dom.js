/*
 * webui/admin/dom.js — elements without HTML strings: what devices call themselves is text here,
 * whatever it contains.
 *
 *      h('button', {class: 'button', type: 'button', onclick: save}, 'Save')
 */

/**
 * An element. A property that begins with "on" is a listener; true is an attribute without a
 * value; undefined, null and false are left out.
 *
 * @param {string} tag
 * @param {Record<string, any>} [props]
 * @param {...(Node | string | number | null | undefined | false)} children
 * @returns {HTMLElement}
 */
export function h(tag, props = {}, ...children) {
    const element = document.createElement(tag);

    for (const [name, value] of Object.entries(props)) {
        if (name.startsWith('on'))
            element.addEventListener(name.slice(2), value);
        else if (name === 'value')
            element.value = value;
        else if (value !== undefined && value !== null && value !== false)
            element.setAttribute(name, value === true ? '' : value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined &&
        child !== false));
    return element;
}

const SVG = 'http://www.w3.org/2000/svg';

/** One of the symbols in index.html. */
export function icon(name) {
    const svg = document.createElementNS(SVG, 'svg');
    const use = document.createElementNS(SVG, 'use');

    svg.setAttribute('class', 'icon');
    svg.setAttribute('aria-hidden', 'true');
    use.setAttribute('href', `#icon-${name}`);
    svg.append(use);
    return svg;
}

/** Write a text only when it is another one: most of what is shown each second has not changed. */
export function setText(element, text) {
    const wanted = String(text);

    if (element.textContent !== wanted)
        element.textContent = wanted;
}

let serial = 0;

/** An id nobody else has. */
export function freshId(prefix) {
    serial++;
    return `${prefix}-${serial}`;
}

/**
 * A few choices side by side, of which one holds.
 *
 * @param {string} label  for those who do not see it
 * @param {[string, string][]} choices  value and text
 * @param {string} value  the first choice
 * @param {(value: string) => void} onchange
 */
export function segmented(label, choices, value, onchange) {
    const name = freshId('choice');

    return h('fieldset', {class: 'segmented'},
        h('legend', {class: 'visually-hidden'}, label),
        ...choices.map(([choice, text]) => h('label', {},
            h('input', {type: 'radio', name, value: choice, checked: choice === value,
                onchange: () => onchange(choice)}),
            h('span', {}, text))));
}

/** A search box. @param {(text: string) => void} onchange  after each key */
export function searchBox(label, onchange) {
    const input = h('input', {type: 'search', placeholder: label, 'aria-label': label,
        spellcheck: 'false', autocomplete: 'off', 'data-search': true,
        oninput: () => onchange(input.value)});

    return h('div', {class: 'search field'}, icon('search'), input);
}

/** A switch with its label. */
export function toggle(label, onchange) {
    const input = h('input', {type: 'checkbox', role: 'switch', class: 'switch',
        onchange: () => onchange(input.checked)});

    return Object.assign(h('label', {class: 'toggle'}, input, h('span', {}, label)), {input});
}

/** A short word in the corner that goes by itself. */
export function toast(text, kind = 'good') {
    const line = h('p', {class: `toast ${kind}`}, text);
    const room = document.getElementById('toasts');

    room.append(line);
    while (room.childElementCount > 3)
        room.firstElementChild.remove();
    setTimeout(() => line.remove(), kind === 'bad' ? 8000 : 4000);
}

/**
 * Ask before something that cannot be taken back.
 *
 * @param {{title: string, text: string, action: string, fields?: HTMLElement[]}} question
 * @returns {Promise<boolean>}
 */
export function ask({title, text, action, fields = []}) {
    return new Promise((resolve) => {
        const dialog = h('dialog', {'aria-label': title, onclose: () => {
            dialog.remove();
            resolve(dialog.returnValue === 'yes');
        }},
        h('form', {method: 'dialog', class: 'stack'},
            h('h2', {}, title), h('p', {class: 'muted'}, text), ...fields,
            h('div', {class: 'row end'},
                h('button', {class: 'button', value: 'no', autofocus: true}, 'Cancel'),
                h('button', {class: 'button danger', value: 'yes'}, action))));

        document.body.append(dialog);
        dialog.showModal();
    });
}
