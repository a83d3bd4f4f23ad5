/*
 * What browsers get is webui/squeeze.py's: the same script, and the same style sheet, as in the source.
 * Scripts are compared as TypeScript's parser reads them, style sheets as chromium does.
 */
import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {extname, join} from 'node:path';
import {after, before, describe, it} from 'node:test';
import {fileURLToPath} from 'node:url';

import {openBrowser, openPage, skip as skipBrowser} from './ui/browser.mjs';

const WEBUI = fileURLToPath(new URL('../../webui/', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'squeeze-'));
const ts = await import('typescript').then((module) => module.default).catch(() => undefined);

after(() => rmSync(folder, {recursive: true}));

const squeezeFile = (path) => execFileSync('python3', [`${WEBUI}squeeze.py`, path],
    {encoding: 'utf8'});

function squeeze(text, suffix = '.js') {
    const path = join(folder, `case${suffix}`);

    writeFileSync(path, text);
    return squeezeFile(path);
}

function filesOf(...suffixes) {
    return readdirSync(WEBUI, {recursive: true}).filter((path) => suffixes.includes(extname(path)));
}

/* A script as nested arrays: what kind of thing it is, and the text of what has no parts. */
function meaning(text) {
    const source = ts.createSourceFile('x.js', text, ts.ScriptTarget.Latest, true, ts.ScriptKind.JS);
    const take = (node) => {
        const parts = [];

        ts.forEachChild(node, (child) => void parts.push(take(child)));
        return [ts.SyntaxKind[node.kind], parts.length > 0 ? parts : node.getText(source).trim()];
    };

    assert.deepEqual(source.parseDiagnostics.map((each) => each.messageText), []);
    /* Empty bodies have no parts; their text is nothing but blanks. */
    return JSON.stringify(take(source)).replace(/\{(\\n| |\/\*.*?\*\/)*\}/g, '{}');
}

describe('a squeezed script', {skip: !ts && 'no typescript: npm ci in tests/web'}, () => {
    for (const path of filesOf('.js', '.mjs'))
        it(`${path} means the same, and is smaller`, () => {
            const text = readFileSync(join(WEBUI, path), 'utf8');
            const squeezed = squeezeFile(join(WEBUI, path));

            assert.equal(meaning(squeezed), meaning(text));
            assert.ok(squeezed.length < text.length);
            assert.doesNotMatch(squeezed, /^\s|\s$(?!\n*$)/m);
        });

    it('keeps what looks like a comment and is none', () => {
        for (const text of [
            'a = "/* no */ // no";', 'a = \'it\\\'s // no\';', 'a = /[/*]\\/\\/ "x/g.test(b);',
            'a = `/* no */ ${b /* yes */ + `// no ${c}` + {d: 1}.d} // no`;',
            'a = b / c / d; // yes', 'a = b\n/c/d', 'a = b ++ + c', 'a = b - - c', 'a = b / /c /.d',
            'return /x y/.test(a)', 'a = typeof /x  y/', 'a = b[0] / c /* yes */ / d',
            'a = 1 .toFixed()', 'a = b ? .5 : 1', 'a = b < !--c', 'a\n(b)', 'a\n++b', 'a = b /* \n */ c',
            'a = `line\n    line  `', 'a = \'line \\\n   line\'', 'for (const a of /x  /) b()',
        ])
            if (!/^return/.test(text))
                assert.equal(meaning(squeeze(text)), meaning(text), text);
            else
                assert.equal(meaning(`() => {${squeeze(text)}}`), meaning(`() => {${text}\n}`));
        assert.equal(squeeze('a = 1; /* yes */ // yes\n\n/* yes */\n  b( 2 , 3 )\n'), 'a=1;\nb(2,3)\n');
    });
});

describe('a squeezed style sheet', {skip: skipBrowser}, () => {
    let browser;
    let page;

    before(async () => {
        browser = await openBrowser();
        page = await openPage(browser);
    });
    after(() => browser.close());

    /* The values of custom properties come as they are written, blanks and all. */
    const rules = (text) => page.evaluate((css) => {
        const sheet = new CSSStyleSheet();

        sheet.replaceSync(css);
        return [...sheet.cssRules].map((rule) =>
            rule.cssText.replace(/\s+/g, ' ').replace(/ ?, ?/g, ','));
    }, text);

    for (const path of filesOf('.css'))
        it(`${path} means the same`, async () => {
            const text = readFileSync(join(WEBUI, path), 'utf8');
            const squeezed = squeezeFile(join(WEBUI, path));

            assert.deepEqual(await rules(squeezed), await rules(text));
            assert.doesNotMatch(squeezed, /\/\*/);
        });

    it('keeps the blanks that mean something', async () => {
        for (const text of ['a :hover { color: red }', 'a > b, a + b , a ~ b { margin: 0 auto }',
            'a { width: calc(1px + 2px) }', 'a::before { content: "/* x */  ;  {" }',
            '@media (width > 1px) and (height > 1px) { a b { color: red; } }'])
            assert.deepEqual(await rules(squeeze(text, '.css')), await rules(text), text);
    });
});
