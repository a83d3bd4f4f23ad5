/* tests/web/types.mts — uses all of smq.js as an ES module; never run, only checked by tsc. Where
 * an error is expected and none comes, that is one. */
import SMQ, {Client, utf8, websocket, wsURL} from '../../webui/smq.mjs';

const smq: Client = SMQ.Client(wsURL('/smq.lsp'), {uid: 'my page', info: 'x', cleanstart: true});
smq.onauth = SMQ.sharedKey('my page', '0123456789abcdef');
new Client();
Client({ping: 0, pong: 1, timeout: 2, queue: 3, WebSocket});
Client(new URL('ws://localhost/'));

smq.onauth = (seed, ip) => `${seed + 1} ${ip.length}`;
smq.onauth = async (seed) => new Uint8Array(seed);
smq.onconnect = (etid, seed, ip) => console.log(etid + seed, ip.length);
smq.onreconnect = smq.onconnect;
smq.onclose = (message, canreconnect, code) => canreconnect && code !== 2 ? message.length : null;
smq.onmsg = (data, ptid, tid, subtid) => data[ptid + tid + subtid];

smq.publish('x', 'topic');
smq.publish(new Uint8Array(2), 5, 'sub');
smq.publish(new ArrayBuffer(2), smq.gettid(), 3);
smq.pubjson({a: 1}, 'topic');
smq.subscribe('a');
smq.subscribe('a', {onmsg: (data) => data.byteLength});
smq.subscribe('a', 'b', {datatype: 'text', onmsg: (text, ptid) => text.trim() + ptid});
smq.subscribe('a', undefined, {datatype: 'json', onmsg: (value) => value.any.thing});
smq.subscribe('self', 1, {onack: (accepted, topic, tid, subtopic, subtid) =>
    console.log(accepted, topic, tid + 1, subtopic, subtid)});
smq.unsubscribe('a');
smq.create('a', (accepted, topic, tid) => console.log(accepted, topic, tid + 1));
smq.create('a', 'b', (accepted) => accepted);
smq.createsub('b', (accepted, subtopic, subtid) => console.log(accepted, subtopic, subtid + 1));
smq.observe(5, (subscribers, topic) => console.log(subscribers + 1, topic));
smq.unobserve(5);
const known: [number?, string?] = [smq.topic2tid('a'), smq.tid2subtopic(5)];
const alsoKnown: [string?, number?] = [smq.tid2topic(5), smq.subtopic2tid('a')];
smq.disconnect();
console.log(known, alsoKnown, websocket(), utf8.length(utf8.decode(utf8.encode('x'), 0, 1)),
    smq.getsock()?.bufferedAmount, utf8.encode('x', new Uint8Array(2), 1), utf8.decode([104]));

/* @ts-expect-error: an object is for pubjson() */
smq.publish({a: 1}, 'topic');
/* @ts-expect-error: text, not bytes */
smq.subscribe('a', {datatype: 'text', onmsg: (data: Uint8Array) => data});
/* @ts-expect-error: no such type of data */
smq.subscribe('a', {datatype: 'xml'});
/* @ts-expect-error: a time in milliseconds is no option */
Client({reconnect: 1000});
