/*
 * tests/web/ui/server.mjs — a real smqd with simulated LED devices, for the browser.
 *
 * It listens without TLS and with it (a CA of its own); its user is the one that the first start
 * makes. The programs are $SMQD and $SMQ, else those in build/.
 */
import {spawn} from 'node:child_process';
import {connect} from 'node:net';
import {existsSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';

const TOP = fileURLToPath(new URL('../../../', import.meta.url));
const SMQD = process.env.SMQD ?? join(TOP, 'build/smqd');
const SMQ = process.env.SMQ ?? join(TOP, 'build/smq');

const CONNECT = 2; /* client/smq_wire.h */

export const skipServer = !existsSync(SMQD) && `${SMQD} is not there`;

export class Server {
    constructor(settings = []) {
        this.data = mkdtempSync(join(tmpdir(), 'smqd-ui-'));
        this.settings = settings;
        this.addresses = ['tcp://127.0.0.1:0', 'tls://127.0.0.1:0'];
        this.demos = [];
    }

    /** Before start(): a configuration file of its own, with @text. */
    configure(text) {
        this.config = join(this.data, 'test.conf');
        writeFileSync(this.config, `${text}\n`);
    }

    /** Also again, after stop(): at the same addresses. */
    async start() {
        const words = [...(this.config ? ['--config', this.config] : []),
            ...this.addresses.flatMap((address) => ['--listen', address]),
            ...['limits.pages=300', `data_dir=${this.data}`, ...this.settings]
                .flatMap((setting) => ['--set', setting])];

        this.process = spawn(SMQD, words, {stdio: ['ignore', 'pipe', 'pipe']});
        this.ended = new Promise((resolve) => this.process.on('exit', resolve));
        const text = await this.untilReady();

        this.addresses = [/tcp:\/\/[\d.:]+/.exec(text)[0], /tls:\/\/[\d.:]+/.exec(text)[0]];
        this.password ??= /with the password (\S+)/.exec(text)[1];
        this.http = `${this.addresses[0].replace('tcp:', 'http:')}/`;
        this.https = `${this.addresses[1].replace('tls:', 'https:')}/`;
    }

    /* The password is printed behind the addresses. */
    untilReady() {
        let text = '';

        return new Promise((resolve, reject) => {
            const onText = (part) => {
                text += part;
                if (/ready .*tls:\/\//s.test(text) &&
                    (this.password || /with the password \S+\n/.test(text)))
                    resolve(text);
            };

            this.process.stdout.on('data', onText);
            this.process.stderr.on('data', onText);
            this.ended.then((code) => reject(new Error(`smqd ended with ${code}: ${text}`)));
        });
    }

    /** Simulated LED devices. @param {'tcp' | 'tls'} over */
    demo(name, over = 'tcp', count = 1) {
        const url = `${this.addresses[over === 'tcp' ? 0 : 1]}/smq.lsp`;
        const demo = spawn(SMQ, ['demo', 'led', '--name', name, '--count', String(count),
            '--url', url, ...(over === 'tls' ? ['--insecure'] : [])], {stdio: 'ignore'});

        this.demos.push(demo);
        return demo;
    }

    /** A device at another address of this machine: raw SMQ, no more than a Connect. Gives its
     * socket, which ends when the broker closes. */
    device(uid, localAddress) {
        const [host, port] = this.addresses[0].replace('tcp://', '').split(':');
        const socket = connect({host, port: Number(port), localAddress});
        const body = Buffer.from(`\x01${String.fromCharCode(uid.length)}${uid}\0`, 'latin1');

        socket.write('GET /smq.lsp HTTP/1.0\r\nHost: localhost\r\nSimpleMQ: 1\r\n\r\n');
        socket.once('data', () => socket.write(Buffer.concat(
            [Buffer.from([0, body.length + 3, CONNECT]), body])));
        socket.on('error', () => {}); /* refused: it is closed, too */
        socket.on('data', () => {});
        return socket;
    }

    async stop() {
        this.process.kill('SIGTERM');
        const code = await this.ended;

        if (code !== 0)
            throw new Error(`smqd ended with ${code}, not 0`);
    }

    async destroy() {
        this.demos.forEach((demo) => demo.kill());
        try {
            await this.stop();
        } finally {
            rmSync(this.data, {recursive: true});
        }
    }
}
