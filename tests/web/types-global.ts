/* tests/web/types-global.ts — the same as a classic script sees it; never run, only checked. */
/// <reference path="../../webui/smq.d.ts" />

const page = SMQ.Client(SMQ.wsURL('/smq.lsp'));

page.onclose = (_message, canreconnect) => canreconnect ? 3000 : undefined;
page.subscribe('chat', {datatype: 'text', onmsg: (text) => document.title = text});
