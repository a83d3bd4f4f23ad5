/* What the pages promise without a browser: contrast, and nothing the CSP would refuse. */
import assert from 'node:assert/strict';
import {readFileSync, readdirSync} from 'node:fs';
import {describe, it} from 'node:test';

const WEBUI = new URL('../../webui/', import.meta.url);
const read = (path) => readFileSync(new URL(path, WEBUI), 'utf8');
const css = read('style.css');

/* The tokens of :root: those of the light, and with the dark ones in their place. */
function tokens() {
    const blocks = [...css.matchAll(/:root \{([^}]*)\}/g)].map(([, block]) =>
        new Map([...block.matchAll(/--([\w-]+): ([^;]+);/g)].map(([, name, value]) =>
            [name, value])));

    return {light: blocks[0], dark: new Map([...blocks[0], ...blocks[1]])};
}

function luminance(color) {
    const match = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/.exec(color);

    assert.ok(match, `${color} is a colour in six digits`);
    const [r, g, b] = match.slice(1).map((hex) => parseInt(hex, 16) / 255)
        .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);

    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(one, other) {
    const [less, more] = [luminance(one), luminance(other)].sort((a, b) => a - b);

    return (more + 0.05) / (less + 0.05);
}

describe('contrast', () => {
    const surfaces = ['bg', 'surface', 'surface-sunk', 'surface-hover'];

    for (const [scheme, values] of Object.entries(tokens())) {
        for (const [text, backgrounds, least] of [
            ['text', surfaces, 7],
            ['text-muted', surfaces, 4.5],
            ['accent', [...surfaces, 'accent-bg'], 4.5],
            ['accent-hover', [...surfaces, 'accent-bg'], 4.5],
            ['on-accent', ['accent', 'accent-hover'], 4.5],
            ['good', ['surface', 'good-bg'], 4.5],
            ['warn', ['surface', 'warn-bg'], 4.5],
            ['bad', [...surfaces, 'bad-bg'], 4.5],
            ['edge-strong', surfaces, 3],
            ...[1, 2, 3, 4, 5, 6].map((n) => [`chart-${n}`, ['surface', 'surface-sunk'], 3]),
        ]) {
            for (const background of backgrounds) {
                it(`${scheme}: ${text} on ${background} is at least ${least}:1`, () => {
                    const ratio = contrast(values.get(text), values.get(background));

                    assert.ok(ratio >= least, `it is ${ratio.toFixed(2)}:1`);
                });
            }
        }
    }
});

describe('style sheets', () => {
    const sheets = ['style.css', 'led/led.css', 'admin/admin.css'].map((path) => [path, read(path)]);
    const known = new Set(sheets.flatMap(([, text]) =>
        [...text.matchAll(/^\s+--([\w-]+):/gm)].map(([, name]) => name)));

    ['led', 'swatch'].forEach((name) => known.add(name)); /* set by scripts */
    for (const [path, text] of sheets) {
        it(`${path} uses only tokens there are`, () => {
            const used = [...text.matchAll(/var\(--([\w-]+)\)/g)].map(([, name]) => name);

            assert.deepEqual(used.filter((name) => !known.has(name)), []);
        });
    }

    it('only style.css has colours of its own', () => {
        for (const path of ['led/led.css', 'admin/admin.css'])
            assert.doesNotMatch(read(path), /#[0-9a-f]{3,8}\b|rgb\(|hsl\(/i);
    });
});

describe('pages', () => {
    const pages = readdirSync(WEBUI, {recursive: true}).filter((path) => path.endsWith('.html'));

    it('are found', () => assert.ok(pages.length > 0));
    for (const path of pages) {
        const html = read(path);

        it(`${path} has nothing inline that the CSP refuses`, () => {
            assert.doesNotMatch(html, /\sstyle\s*=/i);
            assert.doesNotMatch(html, /<style/i);
            assert.doesNotMatch(html, /\son\w+\s*=/i);
            assert.doesNotMatch(html, /javascript:/i);
            for (const [, attributes, body] of html.matchAll(/<script([^>]*)>([^<]*)<\/script>/gi)) {
                assert.match(attributes, /src=/);
                assert.equal(body, '');
            }
        });

        it(`${path} loads nothing from elsewhere`, () => {
            assert.doesNotMatch(html, /(src|href)="(https?:)?\/\//i);
        });

        it(`${path} has no id twice`, () => {
            const ids = [...html.matchAll(/\sid="([^"]+)"/g)].map(([, id]) => id);

            assert.deepEqual(ids.filter((id, i) => ids.indexOf(id) !== i), []);
        });
    }
});
