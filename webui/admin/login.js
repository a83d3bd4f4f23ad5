/* webui/admin/login.js — name and password. */
import * as api from './api.js';
import {h, icon} from './dom.js';
import * as format from './format.js';

/**
 * @param {HTMLElement} root
 * @param {(session: object) => void} onenter
 * @param {string} [why]  why again
 * @param {string} [name]  who it was
 */
export function loginPage(root, onenter, why, name = '') {
    const user = h('input', {name: 'user', autocomplete: 'username', autocapitalize: 'none',
        spellcheck: 'false', required: true, value: name});
    const password = h('input', {name: 'password', type: 'password',
        autocomplete: 'current-password', required: true});
    const problem = h('p', {class: 'problem', role: 'alert', hidden: true});
    const button = h('button', {class: 'button primary', type: 'submit'}, 'Log in');

    function say(text) {
        problem.textContent = text;
        problem.hidden = text === '';
    }

    /* Too many attempts: the button says when the next one is taken. */
    function wait(seconds) {
        button.disabled = seconds > 0;
        button.textContent = seconds > 0 ? `Again in ${format.duration(seconds)}` : 'Log in';
        if (seconds > 0)
            setTimeout(() => wait(seconds - 1), 1000);
        else
            say('');
    }

    async function logIn(event) {
        event.preventDefault();
        button.disabled = true;
        say('');
        try {
            const session = await api.post('login',
                {user: user.value, password: password.value}, false);

            root.replaceChildren();
            onenter(session);
        } catch (error) {
            button.disabled = false;
            say(error.message);
            password.select();
            if (error.status === 429)
                wait(error.retryAfter ?? 10);
        }
    }

    root.replaceChildren(h('form', {class: 'card stack login', onsubmit: logIn},
        h('div', {class: 'login-head'}, icon('logo'), h('h1', {}, 'smqd'),
            h('p', {class: why ? '' : 'muted', role: 'status'},
                why ?? 'Log in to see this broker and its devices.')),
        h('label', {class: 'field'}, h('span', {}, 'User'), user),
        h('label', {class: 'field'}, h('span', {}, 'Password'), password),
        problem, button,
        h('p', {class: 'muted small'}, 'The first start of the server made the user ',
            h('strong', {}, 'admin'), ' and printed its password, once.')));
    (name ? password : user).focus();
}
