/*
 * core/config.h — the configuration in force, as plain data.
 *
 * server/config.c fills it from the file and the command line and checks it; after boot it is
 * constant and any thread may read it. configs/default.conf says for each key its unit, range
 * and reason; the defaults are written once, in server/config.c's table.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* What happens to a message for a receiver whose output queue is full (protocol §4.20). */
enum slow_consumer {
    SLOW_DROP_NEW = 0, /* the new message is dropped */
    SLOW_DROP_OLD,     /* the oldest queued messages are dropped to make room */
    SLOW_DISCONNECT,   /* the receiver is closed */
};

enum log_level { LOG_LEVEL_ERROR = 0, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

#define CONFIG_AUTO (-1) /* threads.*: chosen from the number of cores */

/* One name with a number that firmware knows in advance. */
struct config_pin {
    char *name;
    uint32_t id;
};

/* How clients of an instance prove who they are. */
enum config_auth {
    CONFIG_AUTH_PASSWORD = 0, /* user:password as credentials */
    CONFIG_AUTH_KEY,          /* a shared key, shown by an HMAC (auth/challenge.h) */
    CONFIG_AUTH_CERTIFICATE,  /* of a TLS client */
    CONFIG_AUTH_WEB,          /* browsers: the web UI's login */
    CONFIG_AUTH_ANONYMOUS,    /* not at all: whom nothing before it is about comes in */
    CONFIG_AUTH_COUNT
};

/* One broker instance: an isolated world of topics and peers behind one URL path. */
struct config_instance {
    char *path; /* begins with '/' */
    struct config_pin *topics;
    uint32_t topic_count;
    struct config_pin *subtopics;
    uint32_t subtopic_count;
    char *origins;    /* of pages that may open a WebSocket: words, "self" among them; "": any */
    bool needs_login; /* WebSockets: only for who has logged in to the web UI; auth has "web" */
    uint8_t auth[CONFIG_AUTH_COUNT]; /* enum config_auth, in the order in which they are asked */
    uint32_t auth_count;             /* 0: a certificate if there is one, else anonymous */
    char *users_path;                /* of a password file; NULL: none */
    char *keys_path;                 /* of a key file */
    char *acl_path;                  /* of an access list; NULL: everybody may do everything */
    char *script_path;               /* of a Lua script (script/); NULL: none */
    bool bind_uid; /* a client's UID must be its login's name (core/identity.h says how) */
};

/* One address to listen at. */
struct config_listener {
    char *url;     /* as written: "tcp://[::1]:8080" */
    char *host;    /* without brackets; "*" for any */
    uint16_t port; /* 0: the kernel chooses */
    int line;      /* where it stands in the file; 0: not in a file */
    bool tls;
    bool allow_anonymous; /* its section's, or else the one for all */
    uint8_t policy_index; /* of a tls:// address: in config->tls_policies */
};

/* What a listener's section says differently from what all have in common: as written, in order. */
struct config_override {
    char *key; /* a name of the key table: "tls.client_auth" */
    char *value;
};

struct config_listener_section {
    char *url; /* as in listen */
    struct config_override *overrides;
    uint32_t override_count;
};

struct config_limits {
    uint32_t connection_count_max;        /* in all */
    uint32_t handshake_count_max;         /* connections that have not had their Connack */
    uint32_t handshake_timeout_ms;        /* from accept to Connect */
    uint32_t page_count_max;              /* connections that ask for web pages */
    uint32_t pages_per_address_max;       /* the same, of one address; 0: any number */
    uint32_t connections_per_address_max; /* 0: any number */
    uint32_t connects_per_address_max;    /* a second; 0: any number */
    uint32_t failures_per_address_max;    /* logins in GUARD_FAIL_WINDOW_S, then a ban; 0: never */
    uint32_t ban_ms;                      /* how long that ban is */
    uint32_t addresses_max;               /* remembered at a time; a power of two */
    char *exempt_addresses;               /* networks without limits for each address */
    uint32_t topics_per_client_max; /* names a client created or subscribed to and still holds */
    uint32_t topics_per_instance_max;
    uint32_t topics_max; /* over all instances */
    uint32_t subscriptions_per_client_max;
    uint32_t subscriptions_per_instance_max;
    uint32_t subscriptions_max;
    uint32_t observations_per_client_max;
    uint32_t pending_per_client_max; /* requests that have not been answered */
    uint32_t pending_per_instance_max;
    uint32_t messages_per_client_max;   /* frames a second; 0: any number. So the next three */
    uint32_t bytes_per_client_max;      /* as received, a second */
    uint32_t messages_per_instance_max; /* of all clients of an instance together */
    uint32_t bytes_per_instance_max;
    uint32_t
        subtopics_per_instance_max; /* names live for ever: the broker cannot know who uses one */
    uint32_t frame_bytes_max;       /* largest frame a client may send, header included */
    uint32_t frame_timeout_ms;      /* from its first byte to its last; a fragmented message, too */
    uint32_t name_bytes_max;        /* topic and sub-topic names */
    uint32_t queue_bytes_max;       /* output waiting for one connection */
    enum slow_consumer slow_consumer;
    uint64_t memory_bytes_max; /* everything the broker allocates; 0: half the machine's */
};

/* Words of tls.client_auth and tls.version_min. */
enum config_client_auth { CONFIG_CLIENT_OFF = 0, CONFIG_CLIENT_OPTIONAL, CONFIG_CLIENT_REQUIRED };
enum config_tls_version { CONFIG_TLS_1_2 = 0, CONFIG_TLS_1_3 };

/* The credentials and the policy of a tls:// address. Paths are "" when not set. */
struct config_tls {
    char *ecc_certificate; /* neither this nor the next: smqd makes its own */
    char *ecc_key;         /* "": in the certificate's file */
    char *rsa_certificate;
    char *rsa_key;
    char *rules;          /* which certificate whom, where both are possible: tls/rules.h */
    uint32_t client_auth; /* enum config_client_auth */
    char *client_ca;
    char *client_crl;
    uint32_t bind_uid;    /* a client's UID must be its certificate's identity */
    uint32_t version_min; /* enum config_tls_version */
    uint32_t compact;     /* after the handshake, keep only keys */
};

/* Words of web.machines: whose programs may read /metrics, /healthz and /readyz. */
enum config_machines { CONFIG_MACHINES_OFF = 0, CONFIG_MACHINES_LOOPBACK, CONFIG_MACHINES_ALL };

/* Pages over HTTP, the web UI and its log-in. Paths are "" when not set. */
struct config_web {
    uint32_t enabled;
    char *ui;             /* the UI's URL prefix, as written: begins with '/' */
    char *admin_path;     /* of the instance that the UI connects to; needs a log-in */
    char *root;           /* a folder of the user's pages, served at "/" */
    char *echo;           /* a path where WebSockets hear what they say; "" or NULL: none */
    uint32_t machines;    /* enum config_machines */
    char *machines_url;   /* the one listener on which they may, as in listen; "" or NULL: any */
    char *token_file;     /* its first line lets programs read the API */
    char *users;          /* who may log in; "": web-users in the data dir */
    uint32_t session_ms;  /* a session ends after so long without a request */
    uint32_t plain_login; /* log in without TLS from anywhere, not only from this machine */
};

/* Words of harden. */
enum config_harden { CONFIG_HARDEN_OFF = 0, CONFIG_HARDEN_ON, CONFIG_HARDEN_REPORT };

/* What each script may use. */
struct config_script {
    uint64_t memory_bytes_max; /* of a Lua state */
    uint32_t callback_ms;      /* of one call of a script's function */
    uint32_t async_ms;         /* of one job of smq.async */
    uint32_t queue_count_max;  /* messages that wait for the script, and jobs of smq.async */
    uint32_t allow_os;         /* os.execute, io.popen, files and modules from anywhere */
    uint32_t network;          /* connections to others */
};

struct config {
    struct config_listener *listeners;
    uint32_t listener_count;
    struct config_instance *instances;
    uint32_t instance_count;

    int32_t io_thread_count;     /* 1..64 once resolved */
    int32_t router_thread_count; /* 0: shards run inside the I/O threads */
    uint32_t lane_slot_count;    /* power of two */
    uint32_t recv_buffer_count;  /* per I/O thread, power of two */
    uint32_t recv_buffer_bytes;
    uint32_t spin_us; /* look at the lanes this long before sleeping; 0: sleep at once */

    struct config_limits limits;

    struct config_tls tls; /* what tls:// addresses have in common ... */
    struct config_listener_section *listener_sections; /* ... and what some of them have not */
    uint32_t listener_section_count;
    struct config_tls *tls_policies; /* made of both: one for each different policy in use */
    uint32_t tls_policy_count;
    uint32_t tls_ticket_ms;           /* a key of session tickets seals for so long */
    uint32_t tls_handshake_count_max; /* begun within a second and not done */

    struct config_web web;
    struct config_script script;

    uint32_t keepalive_idle_ms;   /* silence after which the broker pings */
    uint32_t keepalive_answer_ms; /* time for any byte to come before the broker closes */
    uint32_t drain_timeout_ms;    /* from SIGTERM to exit, at most */

    uint32_t allow_anonymous; /* also on addresses that others can reach; of all listeners */
    char *run_as;             /* a user of the system: who root becomes. "": stay */
    uint32_t harden;          /* enum config_harden */
    enum log_level log_level;
    char *data_dir; /* the stats socket lives here */
};

/* Is this one of the ways to prove who one is, there? */
static inline bool config_asks_for(const struct config_instance *instance, enum config_auth auth)
{
    for (uint32_t i = 0; i < instance->auth_count; i++)
        if (instance->auth[i] == auth)
            return true;
    return instance->auth_count == 0 &&
           (auth == CONFIG_AUTH_CERTIFICATE || auth == CONFIG_AUTH_ANONYMOUS);
}

/* May somebody come in who proves nothing? */
static inline bool config_lets_in_anybody(const struct config_instance *instance)
{
    return config_asks_for(instance, CONFIG_AUTH_ANONYMOUS);
}

/* Is this the instance that the web UI itself connects to? */
static inline bool config_is_admin(const struct config *config,
                                   const struct config_instance *instance)
{
    return config->web.enabled && strcmp(instance->path, config->web.admin_path) == 0;
}
