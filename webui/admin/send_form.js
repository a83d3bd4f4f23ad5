/* webui/admin/send_form.js — write a message: as text, JSON or hex, perhaps on a sub-topic. */
import {freshId, h, segmented} from './dom.js';
import {FORMATS, parse} from './payload.js';

/**
 * @param {{label: string, onsend: (bytes: Uint8Array, subtopic: string) => void}} options
 * @returns {HTMLFormElement}
 */
export function sendForm({label, onsend}) {
    const problemId = freshId('problem');
    let written = 'text';
    const payload = h('textarea', {rows: '2', spellcheck: 'false', 'aria-describedby': problemId,
        oninput: () => say(''), onkeydown: (event) => {
            if (event.key === 'Enter' && (event.ctrlKey || event.metaKey))
                form.requestSubmit();
        }});
    const subtopic = h('input', {autocomplete: 'off', spellcheck: 'false', placeholder: 'none'});
    const problem = h('p', {id: problemId, class: 'problem small', role: 'alert', hidden: true});

    function say(text) {
        problem.textContent = text;
        problem.hidden = text === '';
        payload.setAttribute('aria-invalid', String(text !== ''));
    }

    function send(event) {
        event.preventDefault();
        try {
            onsend(parse(payload.value, written), subtopic.value.trim());
            say('');
        } catch (error) {
            say(error.message);
        }
    }

    const form = h('form', {class: 'stack', onsubmit: send},
        h('div', {class: 'send-top'},
            h('label', {class: 'field'}, h('span', {}, 'Sub-topic'), subtopic),
            segmented('Written as', FORMATS, written, (value) => {
                written = value;
                say('');
            })),
        h('label', {class: 'field'}, h('span', {}, 'Message'), payload),
        problem,
        h('div', {class: 'spread'},
            h('span', {class: 'muted small keys-hint'}, 'Ctrl + Enter sends'),
            h('button', {class: 'button primary', type: 'submit'}, label)));

    return form;
}
