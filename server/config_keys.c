/*
 * server/config_keys.c — the table of scalar keys. What can be made of a row is in config_values.c.
 *
 * The order here is the order of configs/default.conf. A new key is one row; afterwards
 * regenerate that file (`build/smqd --print-config > configs/default.conf`), a test compares them.
 */
#include "server/config_keys.h"

#include "core/limits.h"

#define KIB INT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

#define FIELD(member)                                                                              \
    .offset = offsetof(struct config, member), .width_bytes = sizeof(((struct config *)0)->member)
#define RANGE(low, high, initial) .value_min = (low), .value_max = (high), .fallback = (initial)

/* The most connections that LIMIT_IO_ACTORS I/O actors can name. */
#define CONNECTIONS_MAX ((int64_t)LIMIT_IO_ACTORS * LIMIT_CONNS_PER_IO)
/* Names and members are counted in u32; a few hundred million would not fit any machine's memory.
 */
#define NAMES_MAX INT64_C(100000000)
#define DAY_MS    INT64_C(86400000)

static const char *const slow_consumer_words[] = {
    [SLOW_DROP_NEW] = "drop_new",
    [SLOW_DROP_OLD] = "drop_old",
    [SLOW_DISCONNECT] = "disconnect",
    NULL,
};

static const char *const log_level_words[] = {
    [LOG_LEVEL_ERROR] = "error",
    [LOG_LEVEL_WARNING] = "warning",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_DEBUG] = "debug",
    NULL,
};

static const char *const client_auth_words[] = {
    [CONFIG_CLIENT_OFF] = "off",
    [CONFIG_CLIENT_OPTIONAL] = "optional",
    [CONFIG_CLIENT_REQUIRED] = "required",
    NULL,
};

static const char *const tls_version_words[] = {
    [CONFIG_TLS_1_2] = "1.2",
    [CONFIG_TLS_1_3] = "1.3",
    NULL,
};

static const char *const machines_words[] = {
    [CONFIG_MACHINES_OFF] = "off",
    [CONFIG_MACHINES_LOOPBACK] = "loopback",
    [CONFIG_MACHINES_ALL] = "all",
    NULL,
};

static const char *const harden_words[] = {
    [CONFIG_HARDEN_OFF] = "off",
    [CONFIG_HARDEN_ON] = "on",
    [CONFIG_HARDEN_REPORT] = "report",
    NULL,
};
static const char *const switch_words[] = {"off", "on", NULL};

const struct config_section config_sections[] = {
    {"threads", "How the work is spread over the machine's cores."},
    {"receive", "The receive buffers an I/O thread shares among all its connections. A quiet "
                "connection owns none, so these figures do not grow with connections."},
    {"limits", "Bounds that keep one client, one application or one bad day from taking the "
               "machine. What bites is refused with an answer, and counted (smq stats)."},
    {"keepalive", "Finding connections whose other end is gone without a word."},
    {"tls",
     "What tls:// addresses have in common; a section listener says what one has not. Files are "
     "PEM and are read again when they change, and on SIGHUP, all of them or none. Without a "
     "certificate smqd makes its own CA in data_dir/ca at the first start."},
    {"web",
     "Pages over HTTP, on the same addresses: the web UI, pages of your own, and figures for "
     "machines."},
    {"script", "What the Lua script of an instance may use. Each runs in a thread of its own."},
    {"log", "Lines on stderr, one per event."},
    {"", "The rest."},
};
const uint32_t config_section_count = COUNT_OF(config_sections);

const struct config_key config_keys[] = {
    {
        "threads.io",
        KEY_THREADS,
        "threads",
        FIELD(io_thread_count),
        RANGE(1, LIMIT_IO_ACTORS, CONFIG_AUTO),
        .why = "Threads that talk to the network. auto: one on 1 to 3 cores, because a second one "
               "costs more in wake-ups there than it brings; on more, the cores that the router "
               "threads leave. Each has a descriptor table of its own, so more of them also carry "
               "more connections where the descriptor limit is small.",
    },
    {
        "threads.router",
        KEY_THREADS,
        "threads",
        FIELD(router_thread_count),
        RANGE(0, LIMIT_SHARDS, CONFIG_AUTO),
        .why = "Threads that own the topics. 0: routing happens inside the I/O threads. auto: 0 on "
               "1 to 3 cores, else about one for three I/O threads.",
    },
    {
        "threads.lane_slots",
        KEY_POWER_OF_TWO,
        "envelopes",
        FIELD(lane_slot_count),
        RANGE(LIMIT_LANE_SLOTS_MIN, LIMIT_LANE_SLOTS_MAX, 256),
        .why = "Room of the lane between two threads, 64 bytes a slot. A full lane makes an I/O "
               "thread stop reading for a moment; 256 hold a burst (512 and 1024 were no faster), "
               "and 16 kB a lane stay small "
               "even with many threads, each of which has a lane to every other.",
    },
    {
        "threads.spin",
        KEY_TIME,
        "us",
        FIELD(spin_us),
        RANGE(0, 10000, 0),
        .why = "How long a thread keeps looking at its lanes before it sleeps. 100us halves the "
               "latency of a quiet broker and triples its CPU use, so: off.",
    },
    {
        "receive.buffers",
        KEY_POWER_OF_TWO,
        "buffers",
        FIELD(recv_buffer_count),
        RANGE(8, 32768, 64),
        .why = "Buffers of each I/O thread. When all are in use, reading waits for the next turn.",
    },
    {
        "receive.buffer_bytes",
        KEY_BYTES,
        "bytes",
        FIELD(recv_buffer_bytes),
        RANGE(1 * KIB, 64 * KIB, 8 * KIB),
        .why =
            "Size of each. What one receive brings travels together: with 4K a wide fan-out cost "
            "twice the CPU of 8K, with 16K nothing more was gained. A frame may span several.",
    },
    {
        "limits.connections",
        KEY_COUNT,
        "connections",
        FIELD(limits.connection_count_max),
        .live = KEY_LIVE_DOWN,
        RANGE(1, CONNECTIONS_MAX, 200000),
        .why = "Connections in all. The kernel's bound comes first on many machines: each I/O "
               "thread holds at most RLIMIT_NOFILE connections (ulimit -n, LimitNOFILE=); "
               "--check-config says what that allows here.",
    },
    {
        "limits.handshakes",
        KEY_COUNT,
        "connections",
        FIELD(limits.handshake_count_max),
        .live = KEY_LIVE_DOWN,
        RANGE(1, CONNECTIONS_MAX, 10000),
        .why = "Connections that have not been accepted by a Connack yet. Half-open ones are the "
               "cheap way to attack a broker, and a reconnect storm looks alike; beyond this, new "
               "ones are closed at once and come back later. 10,000 take 40 MB of the kernel's "
               "memory, as many as that many devices do later.",
    },
    {
        "limits.handshake_ms",
        KEY_TIME,
        "ms",
        FIELD(limits.handshake_timeout_ms),
        .live = KEY_LIVE,
        RANGE(50, DAY_MS, 4000),
        .why = "Time from accept to Connect. 4 s is what SMQ clients expect.",
    },
    {
        "limits.pages",
        KEY_COUNT,
        "connections",
        FIELD(limits.page_count_max),
        .live = KEY_LIVE,
        RANGE(1, CONNECTIONS_MAX, 256),
        .why =
            "Connections that ask for web pages. They count here and not in limits.handshakes, "
            "so that readers of pages cannot keep devices out; a browser opens up to six. The last "
            "eighth is for limits.exempt_addresses, so that who sits at this machine gets in.",
    },
    {
        "limits.pages_per_address",
        KEY_COUNT,
        "connections",
        FIELD(limits.pages_per_address_max),
        .live = KEY_LIVE,
        RANGE(1, UINT16_MAX, 32),
        .zero_means = "any number",
        .why = "Of those, connections of one address: 503 beyond. A browser opens up to six; where "
               "many people come from one address, behind a NAT or a proxy, raise this.",
    },
    {
        "limits.connections_per_address",
        KEY_COUNT,
        "connections",
        FIELD(limits.connections_per_address_max),
        .live = KEY_LIVE,
        RANGE(1, CONNECTIONS_MAX, 1000),
        .zero_means = "any number",
        .why = "Connections of one address: an IPv4 address, or the /64 of an IPv6 one. Beyond, it "
               "is closed at its accept. Where thousands of devices share one address behind a "
               "NAT, raise this.",
    },
    {
        "limits.connects_per_address",
        KEY_COUNT,
        "connections a second",
        FIELD(limits.connects_per_address_max),
        .live = KEY_LIVE,
        RANGE(1, 1000000, 200),
        .zero_means = "any number",
        .why = "New connections of one address in a second; after a quiet one so many at once. "
               "Those beyond are closed at their accept and come back later, so 1,000 devices "
               "behind one NAT need 5 s after a restart.",
    },
    {
        "limits.failures_per_address",
        KEY_COUNT,
        "logins",
        FIELD(limits.failures_per_address_max),
        .live = KEY_LIVE,
        RANGE(1, 1000, 10),
        .zero_means = "any number",
        .why = "Failed logins of one address within a minute, of SMQ clients and of the web UI "
               "together; then it is banned (smq ban list). 10 leave room for a person's mistakes "
               "and a device with an old password, and none for guessing.",
    },
    {
        "limits.ban_ms",
        KEY_TIME,
        "ms",
        FIELD(limits.ban_ms),
        .live = KEY_LIVE,
        RANGE(1000, 30 * DAY_MS, 600000),
        .why = "How long such a ban lasts. A banned address is closed at its accept; those of its "
               "clients that are in stay. Bans end with the process.",
    },
    {
        "limits.addresses",
        KEY_POWER_OF_TWO,
        "addresses",
        FIELD(limits.addresses_max),
        RANGE(64, 1048576, 8192),
        .why = "Addresses that are remembered at a time, 32 bytes each. When the table is full of "
               "connected and banned ones, others are let in without a limit of their own (smq "
               "stats, guard).",
    },
    {
        "limits.exempt_addresses",
        KEY_TEXT,
        "addresses and networks, with blanks between them",
        FIELD(limits.exempt_addresses),
        .fallback_text = "127.0.0.0/8 ::1",
        .why = "Whom the limits for one address are not about, and who is never banned. This "
               "machine by default: its users have better ways to harm it, and behind a proxy "
               "everybody comes from here. Logins to the web UI are put off from here, too.",
    },
    {
        "limits.topics_per_client",
        KEY_COUNT,
        "topics",
        FIELD(limits.topics_per_client_max),
        .live = KEY_LIVE,
        RANGE(1, LIMIT_HELD_PER_CLIENT, 1000),
        .why = "Topic names one client may hold. Devices hold a handful; a client that goes on "
               "creating names is broken or hostile.",
    },
    {
        "limits.topics_per_instance",
        KEY_COUNT,
        "topics",
        FIELD(limits.topics_per_instance_max),
        .live = KEY_LIVE,
        RANGE(1, NAMES_MAX, 1000000),
        .why = "Topic names in one instance, so that one application leaves room for the others.",
    },
    {
        "limits.topics",
        KEY_COUNT,
        "topics",
        FIELD(limits.topics_max),
        .live = KEY_LIVE,
        RANGE(1, NAMES_MAX, 2000000),
        .why = "Topic names in all instances together.",
    },
    {
        "limits.subscriptions_per_client",
        KEY_COUNT,
        "subscriptions",
        FIELD(limits.subscriptions_per_client_max),
        .live = KEY_LIVE,
        RANGE(1, LIMIT_HELD_PER_CLIENT, 1000),
        .why = "Topics one client may be subscribed to.",
    },
    {
        "limits.subscriptions_per_instance",
        KEY_COUNT,
        "subscriptions",
        FIELD(limits.subscriptions_per_instance_max),
        .live = KEY_LIVE,
        RANGE(1, NAMES_MAX, 1000000),
        .why = "Subscriptions in one instance.",
    },
    {
        "limits.subscriptions",
        KEY_COUNT,
        "subscriptions",
        FIELD(limits.subscriptions_max),
        .live = KEY_LIVE,
        RANGE(1, NAMES_MAX, 2000000),
        .why = "Subscriptions in all instances together.",
    },
    {
        "limits.observations_per_client",
        KEY_COUNT,
        "observations",
        FIELD(limits.observations_per_client_max),
        .live = KEY_LIVE,
        RANGE(0, LIMIT_HELD_PER_CLIENT, 1000),
        .why = "Topics and clients one client may observe. Each coming and going costs a message "
               "to every observer.",
    },
    {
        "limits.pending_per_client",
        KEY_COUNT,
        "requests",
        FIELD(limits.pending_per_client_max),
        .live = KEY_LIVE,
        RANGE(1, 65535, 8192),
        .why = "Subscribes, Creates and Observes of one client that have not been answered. They "
               "are on their way inside the broker, whose lanes bound their sum, so this only "
               "keeps one from taking all of it.",
    },
    {
        "limits.pending_per_instance",
        KEY_COUNT,
        "requests",
        FIELD(limits.pending_per_instance_max),
        .live = KEY_LIVE,
        RANGE(1, 100000000, 65536),
        .why = "The same over all clients of one instance. It bites where a script decides, and "
               "thousands ask before it has answered: who is refused hears a denial, and may ask "
               "again.",
    },
    {
        "limits.messages_per_client",
        KEY_COUNT,
        "messages a second",
        FIELD(limits.messages_per_client_max),
        .live = KEY_LIVE,
        RANGE(1, 100000000, 0),
        .zero_means = "any number",
        .why = "Messages and requests of one client in a second; after a quiet one so many at "
               "once. Who sends more is not read from for a while, so it is delayed and nothing "
               "is lost. Off: clients are served in turns, and only you know what yours need.",
    },
    {
        "limits.bytes_per_client",
        KEY_BYTES,
        "bytes a second",
        FIELD(limits.bytes_per_client_max),
        .live = KEY_LIVE,
        RANGE(1 * KIB, 1 * GIB, 0),
        .zero_means = "any number",
        .why = "The same in bytes of their frames.",
    },
    {
        "limits.messages_per_instance",
        KEY_COUNT,
        "messages a second",
        FIELD(limits.messages_per_instance_max),
        .live = KEY_LIVE,
        RANGE(1, 100000000, 0),
        .zero_means = "any number",
        .why = "Messages and requests of all clients of one instance together. Beyond, whoever "
               "sends is delayed.",
    },
    {
        "limits.bytes_per_instance",
        KEY_BYTES,
        "bytes a second",
        FIELD(limits.bytes_per_instance_max),
        .live = KEY_LIVE,
        RANGE(1 * KIB, 1 * GIB, 0),
        .zero_means = "any number",
        .why = "The same in bytes.",
    },
    {
        "limits.subtopics_per_instance",
        KEY_COUNT,
        "sub-topics",
        FIELD(limits.subtopics_per_instance_max),
        .live = KEY_LIVE,
        RANGE(0, NAMES_MAX, 10000),
        .why = "Sub-topic names in one instance. They live until the broker stops, because it "
               "cannot know who still uses one; applications use dozens.",
    },
    {
        "limits.frame_bytes",
        KEY_BYTES,
        "bytes",
        FIELD(limits.frame_bytes_max),
        .live = KEY_LIVE,
        RANGE(1 * KIB, SMQ_FRAME_BYTES_MAX, SMQ_FRAME_BYTES_MAX),
        .why = "Largest frame a client may send, header included. 65535 is the protocol's own "
               "limit; where devices are small, a smaller one bounds what a frame can hold up.",
    },
    {
        "limits.frame_ms",
        KEY_TIME,
        "ms",
        FIELD(limits.frame_timeout_ms),
        .live = KEY_LIVE,
        RANGE(1000, DAY_MS, 60000),
        .why = "Time for a frame, a fragmented message or a TLS record to be whole once it has "
               "begun; then the client is disconnected. Unfinished ones cost memory: 60 s are "
               "64 kB over a modem.",
    },
    {
        "limits.name_bytes",
        KEY_BYTES,
        "bytes",
        FIELD(limits.name_bytes_max),
        RANGE(8, 1 * KIB, 255),
        .why =
            "Longest topic or sub-topic name. 255 is far beyond what applications use, and keeps "
            "the name tables small.",
    },
    {
        "limits.queue_bytes",
        KEY_BYTES,
        "bytes",
        FIELD(limits.queue_bytes_max),
        .live = KEY_LIVE,
        RANGE(64 * KIB, 1 * GIB, 256 * KIB),
        .why = "Output waiting for one connection before it counts as a slow consumer. At least "
               "one frame of the largest size; 256K rides out a second of a bad radio link at "
               "2 Mbit/s.",
    },
    {
        "limits.slow_consumer",
        KEY_CHOICE,
        "",
        FIELD(limits.slow_consumer),
        .live = KEY_LIVE,
        .fallback = SLOW_DROP_NEW,
        .choices = slow_consumer_words,
        .why = "What happens to a message for a slow consumer. drop_new: that message is dropped "
               "for it; drop_old: the oldest waiting ones are; disconnect: it is closed. Others "
               "never wait for it.",
    },
    {
        "limits.memory",
        KEY_BYTES,
        "bytes",
        FIELD(limits.memory_bytes_max),
        .live = KEY_LIVE,
        RANGE(12 * MIB, 1024 * GIB, 0),
        .zero_means = "half of the machine's memory",
        .why = "The whole process in RAM, 7M of it the program itself, measured every second. Near "
               "it, new connections are refused and slow queues shed. The kernel needs about 4K a "
               "connection beside it, hence one half.",
    },
    {
        "keepalive.idle_ms",
        KEY_TIME,
        "ms",
        FIELD(keepalive_idle_ms),
        .live = KEY_LIVE,
        RANGE(50, DAY_MS, 300000),
        .why = "Silence after which the broker pings a client. Clients ping by themselves after "
               "2 to 20 minutes; 5 keeps most routers' address tables warm.",
    },
    {
        "keepalive.answer_ms",
        KEY_TIME,
        "ms",
        FIELD(keepalive_answer_ms),
        .live = KEY_LIVE,
        RANGE(50, DAY_MS, 30000),
        .why = "Time for any byte to come after that ping before the connection is closed. Radio "
               "links of sleeping devices need tens of seconds.",
    },
    {
        "tls.ecc_certificate",
        KEY_TEXT,
        "",
        FIELD(tls.ecc_certificate),
        .fallback_text = "",
        .why = "ECDSA P-256 certificate, for devices: small, and quick to verify. Its chain may "
               "follow "
               "in the same file.",
    },
    {
        "tls.ecc_key",
        KEY_TEXT,
        "",
        FIELD(tls.ecc_key),
        .fallback_text = "",
        .why = "Its key. Empty: it stands in the certificate's file.",
    },
    {
        "tls.rsa_certificate",
        KEY_TEXT,
        "",
        FIELD(tls.rsa_certificate),
        .fallback_text = "",
        .why =
            "RSA certificate with its chain, for browsers and old clients. One of the two kinds is "
            "enough; with both, what the client says of itself decides.",
    },
    {
        "tls.rsa_key",
        KEY_TEXT,
        "",
        FIELD(tls.rsa_key),
        .fallback_text = "",
        .why = "Its key. Empty: it stands in the certificate's file.",
    },
    {
        "tls.rules",
        KEY_TEXT,
        "rules, first match wins: sni:NAME=ecc, alpn:NAME=rsa",
        FIELD(tls.rules),
        .fallback_text = "",
        .why =
            "Which certificate goes to a client that can take both, by the name it asks for (sni; "
            "*.example.org is any one label more) or the protocols it offers (alpn). For the "
            "rest: who offers http/1.1 or h2 looks like a browser and gets RSA, others ECC.",
    },
    {
        "tls.client_auth",
        KEY_CHOICE,
        "",
        FIELD(tls.client_auth),
        .fallback = CONFIG_CLIENT_OFF,
        .choices = client_auth_words,
        .why = "Are clients asked for a certificate? optional: one that is shown must be good; "
               "required: without one, Connack 4. A bad one is answered with Connack 5.",
    },
    {
        "tls.client_ca",
        KEY_TEXT,
        "",
        FIELD(tls.client_ca),
        .fallback_text = "",
        .why = "CA that clients' certificates must come from (made by: smq ca init). Empty: the "
               "own CA, "
               "where smqd made one.",
    },
    {
        "tls.client_crl",
        KEY_TEXT,
        "",
        FIELD(tls.client_crl),
        .fallback_text = "",
        .why =
            "Revocation list of that CA (written by: smq ca revoke). When it is read again, live "
            "connections with revoked certificates are closed.",
    },
    {
        "tls.bind_uid",
        KEY_CHOICE,
        "",
        FIELD(tls.bind_uid),
        .fallback = 0,
        .choices = switch_words,
        .why = "on: a client's UID must be the identity in its certificate (the first subject "
               "alternative name, else the CN), and a client without a certificate is refused. It "
               "says nothing about tcp:// addresses: leave those to this machine.",
    },
    {
        "tls.version_min",
        KEY_CHOICE,
        "",
        FIELD(tls.version_min),
        .fallback = CONFIG_TLS_1_2,
        .choices = tls_version_words,
        .why = "Oldest version of TLS that is spoken. Many device libraries still need 1.2.",
    },
    {
        "tls.compact",
        KEY_CHOICE,
        "",
        FIELD(tls.compact),
        .fallback = 1,
        .choices = switch_words,
        .why = "After the handshake keep only the keys, a tenth of the memory: see SECURITY.md. "
               "off: the TLS library goes on with the connection.",
    },
    {
        "tls.ticket_ms",
        KEY_TIME,
        "ms",
        FIELD(tls_ticket_ms),
        RANGE(60000, DAY_MS, 3600000),
        .why = "How long a key seals session tickets, with which a known device comes back without "
               "a signature. A ticket is good for one to two such intervals.",
    },
    {
        "tls.handshaking",
        KEY_COUNT,
        "handshakes",
        FIELD(tls_handshake_count_max),
        RANGE(1, 1000000, 250),
        .why = "TLS handshakes in progress at a time, of those begun within the last second; other "
               "clients stand in line. One takes 5 to 11 kB, a finished one 0.2: so a storm of "
               "10,000 devices costs 2 MB more than their calm. Even where each takes a second, "
               "250 come in each second.",
    },
    {
        "web.enabled",
        KEY_CHOICE,
        "",
        FIELD(web.enabled),
        .fallback = 1,
        .choices = switch_words,
        .why = "off: only brokers' paths are served, and nobody can log in.",
    },
    {
        "web.ui",
        KEY_TEXT,
        "",
        FIELD(web.ui),
        .fallback_text = "/",
        .why = "Where the web UI is, as a URL path. With pages of your own it needs another one, "
               "for example /admin/.",
    },
    {
        "web.admin_path",
        KEY_TEXT,
        "",
        FIELD(web.admin_path),
        .fallback_text = "/admin.smq",
        .why = "The path of the broker instance that the web UI connects to for live figures, "
               "events and traffic. It needs a log-in, and devices are refused there.",
    },
    {
        "web.root",
        KEY_TEXT,
        "",
        FIELD(web.root),
        .fallback_text = "",
        .why = "A folder of your own pages, served at /. They load /rtl/smq.js and connect to the "
               "broker's path beside them. Links that lead out of the folder are not followed. "
               "They share their origin with the web UI, so put only pages there that you trust.",
    },
    {
        "web.echo",
        KEY_TEXT,
        "",
        FIELD(web.echo),
        .fallback_text = "",
        .why =
            "Only for tests of the WebSocket layer itself, with suites that want an echo: a path "
            "where every message, text too, is sent back. Leave it empty.",
    },
    {
        "web.machines",
        KEY_CHOICE,
        "",
        FIELD(web.machines),
        .fallback = CONFIG_MACHINES_LOOPBACK,
        .choices = machines_words,
        .why = "Who may read /metrics, /healthz and /readyz without a log-in: programs on this "
               "machine, all, or nobody.",
    },
    {
        "web.machines_listener",
        KEY_TEXT,
        "as in listen",
        FIELD(web.machines_url),
        .fallback_text = "",
        .why =
            "The address on which /metrics, /healthz and /readyz are answered, of those in listen; "
            "for example one that only the monitoring network reaches, with web.machines = all. "
            "Empty: on every address.",
    },
    {
        "web.token_file",
        KEY_TEXT,
        "",
        FIELD(web.token_file),
        .fallback_text = "",
        .why = "A file whose first line is a secret of at least 16 characters. Programs that send "
               "it (Authorization: Bearer SECRET) may read the API. Empty: only who has logged in.",
    },
    {
        "web.users",
        KEY_TEXT,
        "",
        FIELD(web.users),
        .fallback_text = "",
        .why = "The password file of those who may log in (written by: smq passwd). Empty: "
               "web-users in data_dir, made at the first start with a password that is printed "
               "once.",
    },
    {
        "web.session_ms",
        KEY_TIME,
        "ms",
        FIELD(web.session_ms),
        RANGE(60000, 30 * DAY_MS, 8 * 3600000),
        .why = "A log-in ends after so long without a request, and a week after it began. The web "
               "UI's page makes one every few minutes while it can be seen, so it stays logged in.",
    },
    {
        "web.plain_login",
        KEY_CHOICE,
        "",
        FIELD(web.plain_login),
        .fallback = 0,
        .choices = switch_words,
        .why = "on: passwords are taken over tcp:// addresses from anywhere, where everybody on "
               "the way can read them. off: only over tls://, and from this machine.",
    },
    {
        "script.heap",
        KEY_BYTES,
        "bytes",
        FIELD(script.memory_bytes_max),
        RANGE(1 * MIB, 64 * GIB, 64 * MIB),
        .why = "Memory of a script, and once more of its smq.async worker. What does not fit is an "
               "error in the script. While a script is loaded again there are two of it.",
    },
    {
        "script.callback_ms",
        KEY_TIME,
        "ms",
        FIELD(script.callback_ms),
        RANGE(1, 3600000, 1000),
        .why = "How long one call of a script's function may take; then it ends with an error. "
               "Meanwhile everybody waits who needs a verdict of this script.",
    },
    {
        "script.async_ms",
        KEY_TIME,
        "ms",
        FIELD(script.async_ms),
        RANGE(1, DAY_MS, 60000),
        .why = "The same for a function given to smq.async, for which nobody waits.",
    },
    {
        "script.queue",
        KEY_COUNT,
        "messages",
        FIELD(script.queue_count_max),
        RANGE(1, 1000000, 1000),
        .why = "Messages to a script that wait while it waits for an answer itself, and jobs of "
               "smq.async. More are dropped and counted, or refused with an error.",
    },
    {
        "script.allow_os",
        KEY_CHOICE,
        "",
        FIELD(script.allow_os),
        .fallback = 0,
        .choices = switch_words,
        .why = "on: scripts may use os.execute and io.popen, and open any file and module. off: "
               "only files of the script's own folder, and the system's Lua modules. With on, "
               "harden limits neither files nor system calls: programs need them.",
    },
    {
        "script.network",
        KEY_CHOICE,
        "",
        FIELD(script.network),
        .fallback = 0,
        .choices = switch_words,
        .why = "on: scripts may connect to others, a database or another broker for example. off: "
               "harden keeps the process from it.",
    },
    {
        "log.level",
        KEY_CHOICE,
        "",
        FIELD(log_level),
        .live = KEY_LIVE,
        .fallback = LOG_LEVEL_INFO,
        .choices = log_level_words,
        .why = "The least important events that are still written. There is no line per message at "
               "any level.",
    },
    {
        "allow_anonymous",
        KEY_CHOICE,
        "",
        FIELD(allow_anonymous),
        .live = KEY_LIVE,
        .fallback = 0,
        .choices = switch_words,
        .why = "Addresses that other machines can reach may serve instances that ask nobody who he "
               "is. Without this smqd refuses to start that way: it would be open to the world. A "
               "section listener says it of one address only.",
    },
    {
        "run_as",
        KEY_TEXT,
        "a user of the system",
        FIELD(run_as),
        .fallback_text = "smqd",
        .why =
            "Who smqd becomes when it is started as root, once its ports are open. Certificates, "
            "keys and accounts must be readable, and data_dir writable, to that user. The "
            "default may be missing: smqd stays root then, and warns. Empty: stay root.",
    },
    {
        "harden",
        KEY_CHOICE,
        "",
        FIELD(harden),
        .fallback = CONFIG_HARDEN_ON,
        .choices = harden_words,
        .why =
            "on: only data_dir can be written, only the folders of configured files read "
            "(landlock), and only the system calls that smqd needs are made (seccomp); a refused "
            "one is logged. report: refuse nothing; the kernel's log names calls that are not "
            "on the list. What the kernel cannot do is logged and left out.",
    },
    {
        "drain_ms",
        KEY_TIME,
        "ms",
        FIELD(drain_timeout_ms),
        .live = KEY_LIVE,
        RANGE(0, 600000, 5000),
        .why = "From SIGTERM to exit, at most: queued output is sent, then connections are closed "
               "(clients reconnect). Who takes nothing for half of it is given up. systemd's own "
               "patience is 90 s.",
    },
    {
        "data_dir",
        KEY_TEXT,
        "",
        FIELD(data_dir),
        .fallback_text = "data",
        .why = "Directory of the statistics socket, and of the own CA where TLS needs one. Made if "
               "missing; relative to where smqd is started.",
    },
};
const uint32_t config_key_count = COUNT_OF(config_keys);
