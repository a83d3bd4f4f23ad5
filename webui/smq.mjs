/* webui/smq.mjs — smq.js for `import`; both share the one global SMQ. */
import './smq.js';

const {SMQ} = globalThis;

export default SMQ;
export const {Client, sharedKey, wsURL, websocket, utf8} = SMQ;
