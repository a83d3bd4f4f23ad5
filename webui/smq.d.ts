/*
 * webui/smq.d.ts — the types of smq.js, and its reference.
 *
 * With `<script src="/rtl/smq.js">` all of it is in the global SMQ; with
 * `import SMQ from '/rtl/smq.mjs'` as well, and by name.
 */
export as namespace SMQ;

/** A topic by its name; `"self"`, which is our own address; or a number: a topic's, or the address
 *  (etid) of a client. A name is asked for at the broker once, a number is used as it is. */
export type Topic = string | number;

/** A sub-topic by its name, or its number. */
export type Subtopic = string | number;

/** Text goes out as UTF-8. Nothing is an empty message. At most 65520 bytes. */
export type Data = string | number | boolean | ArrayBuffer | ArrayBufferView | number[] | null |
    undefined;

/**
 * @param data    bytes, text or an object, as `datatype` says
 * @param ptid    the publisher's address: publish to it to answer
 * @param tid     where it was published to: the topic's number, or our own address
 * @param subtid  the sub-topic's number; 0: none
 */
export type OnMessage<T> = (data: T, ptid: number, tid: number, subtid: number) => void;

/** `topic` and `subtopic` are what the call was given; their numbers are 0 when denied. */
export type OnTopicAck = (accepted: boolean, topic: Topic, tid: number, subtopic?: Subtopic,
    subtid?: number) => void;
export type OnSubtopicAck = (accepted: boolean, subtopic: Subtopic, subtid: number) => void;

/** What onmsg gets, by `datatype`. A message that is not JSON goes to the client's own onmsg. */
interface Payloads {
    bin: Uint8Array;
    text: string;
    json: any;
}

export interface Settings<D extends keyof Payloads = 'bin'> {
    /** Default: 'bin'. */
    datatype?: D;
    onmsg?: OnMessage<Payloads[D]>;
    /** What the broker said. The answers of all calls come in the order of the calls. */
    onack?: OnTopicAck;
}

export interface Options {
    /** Who we are, 6 to 255 bytes. The broker has one connection for each uid: a second one takes
     *  the first one's place. Default: random, for each Client. */
    uid?: string | Uint8Array;
    /** A text about us for the broker's scripts and lists. */
    info?: string | Uint8Array;
    /** Forget everything when the connection is lost, instead of restoring it in the next one.
     *  For pages that subscribe in onconnect and onreconnect. */
    cleanstart?: boolean;
    /** Seconds for the broker's part of the handshake; default 10. */
    timeout?: number;
    /** Seconds of silence before the broker is asked whether it is there; 0: never; default 120. */
    ping?: number;
    /** Seconds it may take to answer that; default 10. */
    pong?: number;
    /** How many messages wait for a connection before the oldest is dropped; default 10000. */
    queue?: number;
    /** A WebSocket class, where there is no global one. */
    WebSocket?: new (url: string) => any;
}

/** A connection to a broker, and what it is used for. Made by Client(). */
export interface Client {
    /** Before we say who we are. Returns the credentials, at most 255 bytes, or a promise of them.
     *  @param seed  the broker's random number, against replays of hashed credentials
     *  @param ip    our own address, as the broker sees it */
    onauth?: (seed: number, ip: string) => string | Uint8Array | undefined | void |
        Promise<string | Uint8Array | undefined | void>;

    /** Connected for the first time. */
    onconnect?: (etid: number, seed: number, ip: string) => void;

    /** Connected again. What is done in onconnect has been done already, unless with cleanstart. */
    onreconnect?: (etid: number, seed: number, ip: string) => void;

    /**
     * The connection is over, or there was none. Return a number to try again after as many
     * milliseconds; anything else is the end of this Client. Not called for our own disconnect().
     *
     * @param message       a text for people
     * @param canreconnect  false when the broker has refused us or sent us away
     * @param code          when refused: 1 bad uid or version, 2 not available, 3 credentials,
     *                      4 certificate required, 5 certificate not accepted, 6 denied
     */
    onclose?: (message: string, canreconnect: boolean, code?: number) => number | unknown;

    /** Messages that no subscription's onmsg is for. */
    onmsg?: OnMessage<Uint8Array>;

    /** Send a message. Messages and all other calls are done in their order, and wait while there
     *  is no connection. */
    publish(data: Data, topic: Topic | null | undefined, subtopic?: Subtopic | null): void;

    /** publish() of an object as JSON. */
    pubjson(value: unknown, topic: Topic | null | undefined, subtopic?: Subtopic | null): void;

    /** Receive a topic's messages: those with the sub-topic, or without one all that have no
     *  handler of their own. Once for each pair of topic and sub-topic; again replaces the
     *  settings. */
    subscribe<D extends keyof Payloads = 'bin'>(topic: Topic, settings?: Settings<D>): void;
    subscribe<D extends keyof Payloads = 'bin'>(topic: Topic,
        subtopic: Subtopic | null | undefined, settings?: Settings<D>): void;

    /** End the subscription, with all its sub-topics. */
    unsubscribe(topic: Topic): void;

    /** Get a topic's number without subscribing. */
    create(topic: Topic, onack?: OnTopicAck): void;
    create(topic: Topic, subtopic: Subtopic | null | undefined, onack?: OnTopicAck): void;

    /** Get a sub-topic's number. */
    createsub(subtopic: Subtopic, onack?: OnSubtopicAck): void;

    /** Be told how many subscribe to a topic, now and whenever it changes; or, for a client's
     *  address, once when that client has gone (subscribers is 0 then).
     *  @param onchange  called with the number, and the topic's name or the client's address */
    observe(topic: Topic, onchange: (subscribers: number, topic: Topic) => void): void;
    unobserve(topic: Topic): void;

    /** Say goodbye and close, for good. */
    disconnect(): void;

    /** Our own address; undefined while there is no connection. */
    gettid(): number | undefined;

    /** The WebSocket, to look at; undefined while there is none. */
    getsock(): WebSocket | undefined;

    /** Names and numbers that are known in this connection; undefined for others. */
    topic2tid(topic: string): number | undefined;
    tid2topic(tid: number): string | undefined;
    subtopic2tid(subtopic: string): number | undefined;
    tid2subtopic(subtid: number): string | undefined;
}

interface ClientConstructor {
    new (url?: string | URL | null, opt?: Options): Client;
    new (opt: Options): Client;
    (url?: string | URL | null, opt?: Options): Client;
    (opt: Options): Client;
}

/** Connect to a broker. Without an address: to the URL of the page itself. */
export const Client: ClientConstructor;

/** An onauth for a broker that asks for a shared key (`auth = {"key"}`); the key itself is not sent:
 *
 *      const smq = SMQ.Client(url, {uid});
 *      smq.onauth = SMQ.sharedKey(uid, key);
 *
 *  It needs WebCrypto: a page that came over https, or from this machine. */
export function sharedKey(uid: string | Uint8Array, key: string | Uint8Array):
    (seed: number) => Promise<string>;

/** The WebSocket address of a path on the page's server; without one, of the page itself. */
export function wsURL(path?: string): string;

/** Is there a WebSocket here? */
export function websocket(): boolean;

export const utf8: {
    /** As new bytes, or into those given, from `start` on; returns them. */
    encode(text: string, into?: Uint8Array, start?: number): Uint8Array;
    decode(bytes: Uint8Array | number[], begin?: number, length?: number): string;
    /** In bytes. */
    length(text: string): number;
};
