/* The load of benches/relay.py: one thread, epoll, no client library, so that on a small machine the load costs less than
 * what is measured. Speaks just enough of both protocols, without TLS: MySQL with an empty password, PostgreSQL with trust.
 *
 *   driver mysql|postgres PORT WORKLOAD CLIENTS SECONDS WARM_UP ROWS [FILE]
 *
 * Workloads: text, prepared (a row of `points` by its id, of ROWS), result (all of `points`), load (FILE, by LOAD DATA
 * LOCAL or COPY), connect (a connection, login and goodbye is the statement), idle (log in, one statement, be silent).
 * Prints "ready" when all are logged in, runs when a line comes on stdin, prints one line of JSON, ends when stdin does:
 * so the caller can read the processor times of others just before and just after. An error of the server ends it. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum workload { TEXT, PREPARED, RESULT, LOAD, CONNECT, IDLE };
static const char *const NAMES[] = {"text", "prepared", "result", "load", "connect", "idle"};

/* What a connection awaits. */
enum state { CONNECTED, GREETING, LOGIN, PREPARE, PREPARE_TAIL, READY, ANSWER, COLUMNS, ROWS, LOADING, BYE };

struct client {
    int fd;
    enum state state;
    int watches_writes;
    uint64_t began;
    uint64_t rows;
    /* MySQL: definitions yet to come, and the statement's id. */
    uint32_t left, statement;
    /* The message being read: its header, and as much of its body as is kept. */
    uint8_t header[5], head[512];
    uint32_t have, length, body;
    /* What is still to be sent. */
    const uint8_t *out;
    size_t out_left;
    uint8_t small[512];
};

static int mysql, port, clients, poller;
static enum workload workload;
static uint64_t rows_there;
static uint8_t *file; /* FILE, in the protocol's own framing, with its end mark */
static size_t file_bytes;
static unsigned long file_lines;
static struct client *all;
static uint8_t input[256 << 10];

/* Counted between window_from and window_to; statements is all of them, with those of the warm-up and the last ones. */
static uint64_t window_from, window_to, statements, counted, bytes;
static uint32_t *samples;
static size_t sample_count, sample_room;
static int busy;

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *form, ...) {
    va_list list;
    va_start(list, form);
    vfprintf(stderr, form, list);
    va_end(list);
    fputc('\n', stderr);
    exit(1);
}

static uint64_t below(uint64_t limit) {
    static uint64_t x = 88172645463325252u;
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    return x % limit;
}

static void put32be(uint8_t *to, uint32_t n) { to[0] = n >> 24, to[1] = n >> 16, to[2] = n >> 8, to[3] = n; }
static void put32le(uint8_t *to, uint32_t n) { to[3] = n >> 24, to[2] = n >> 16, to[1] = n >> 8, to[0] = n; }
static uint32_t get32be(const uint8_t *p) { return (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3]; }

/* --- sending ---------------------------------------------------------------------------------------------------------- */

static void watch(struct client *c, int writes, int how) {
    struct epoll_event event = {.events = EPOLLIN | (writes ? EPOLLOUT : 0), .data.ptr = c};
    if (clients > 1 && epoll_ctl(poller, how, c->fd, &event) < 0) die("epoll_ctl: %s", strerror(errno));
    c->watches_writes = writes;
}

static void flush_out(struct client *c) {
    while (c->out_left) {
        /* A slice at a time: all clients get their turn. */
        size_t slice = c->out_left < (128 << 10) ? c->out_left : 128 << 10;
        ssize_t n = send(c->fd, c->out, slice, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) break;
        if (n < 0) die("send: %s", strerror(errno));
        c->out += n, c->out_left -= (size_t)n;
        if (clients > 1 && c->out_left) break;
    }
    if (!!c->out_left != c->watches_writes) watch(c, !!c->out_left, EPOLL_CTL_MOD);
}

static void send_bytes(struct client *c, const void *from, size_t count) {
    if (c->out_left) die("a message while another is being sent");
    c->out = from, c->out_left = count;
    flush_out(c);
}

/* A packet of MySQL or a message of PostgreSQL behind what is in `small` already. */
static size_t frame(struct client *c, size_t at, int type, const void *body, size_t length) {
    if (at + length + 5 > sizeof c->small) die("too long a message");
    if (mysql) {
        put32le(c->small + at, (uint32_t)length);
        c->small[at + 3] = (uint8_t)type;
        memcpy(c->small + at + 4, body, length);
        return at + 4 + length;
    }
    c->small[at] = (uint8_t)type;
    put32be(c->small + at + 1, (uint32_t)length + 4);
    memcpy(c->small + at + 5, body, length);
    return at + 5 + length;
}

static void query(struct client *c, const char *text) {
    uint8_t body[300];
    size_t length = strlen(text);
    body[0] = 3;
    memcpy(body + 1, text, length + 1);
    send_bytes(c, c->small, mysql ? frame(c, 0, 0, body, length + 1) : frame(c, 0, 'Q', body + 1, length + 1));
    c->state = ANSWER, c->rows = 0;
}

static void execute(struct client *c) {
    uint32_t id = (uint32_t)below(rows_there);
    uint8_t body[64] = {0};
    size_t at;
    if (mysql) {
        body[0] = 0x17;
        put32le(body + 1, c->statement);
        put32le(body + 6, 1);
        body[11] = 1; /* types follow: one LONG */
        body[12] = 3;
        put32le(body + 14, id);
        at = frame(c, 0, 0, body, 18);
    } else {
        /* Bind to the statement "s", Describe and Execute the unnamed portal, Sync: what libpq sends. */
        char text[16];
        int length = sprintf(text, "%u", id);
        memcpy(body, "\0s\0\0\0\0\1", 7);
        put32be(body + 7, (uint32_t)length);
        memcpy(body + 11, text, (size_t)length);
        memcpy(body + 11 + length, "\0\0", 2);
        at = frame(c, 0, 'B', body, 13 + (size_t)length);
        at = frame(c, at, 'D', "P", 2);
        at = frame(c, at, 'E', "\0\0\0\0\0", 5);
        at = frame(c, at, 'S', "", 0);
    }
    send_bytes(c, c->small, at);
    c->state = ANSWER, c->rows = 0;
}

static void open_connection(struct client *c);
static void goodbye(struct client *c) {
    send_bytes(c, c->small, mysql ? frame(c, 0, 0, "\1", 1) : frame(c, 0, 'X', "", 0));
    c->state = BYE;
}

static void next_statement(struct client *c) {
    char text[128];
    c->began = now();
    switch (workload) {
    case TEXT:
    case IDLE:
        sprintf(text, "SELECT pad FROM points WHERE id = %llu", (unsigned long long)below(rows_there));
        return query(c, text);
    case PREPARED: return execute(c);
    case RESULT: return query(c, "SELECT id, pad FROM points");
    case LOAD:
        /* Read to the last line by the server, and then dropped: disks do not count. (No round number: MariaDB goes on
         * counting behind the end of the file.) */
        sprintf(text, "LOAD DATA LOCAL INFILE 'x' INTO TABLE sink IGNORE %lu LINES", file_lines);
        return query(c, mysql ? text : "COPY sink FROM STDIN WHERE false");
    case CONNECT: return open_connection(c);
    }
}

/* --- receiving ---------------------------------------------------------------------------------------------------------- */

static void finished(struct client *c) {
    uint64_t at = now();
    if ((workload == TEXT || workload == PREPARED || workload == IDLE) && c->rows != 1) die("%llu rows", (unsigned long long)c->rows);
    if (workload == RESULT && c->rows != rows_there) die("%llu rows of a result", (unsigned long long)c->rows);
    statements++;
    if (at >= window_from && c->began < window_to) {
        if (sample_count == sample_room) {
            sample_room = sample_room ? sample_room * 2 : 1 << 16;
            samples = realloc(samples, sample_room * sizeof *samples);
            if (!samples) die("no memory");
        }
        uint64_t took = (at - c->began) / 100;
        samples[sample_count++] = took > UINT32_MAX ? UINT32_MAX : (uint32_t)took;
    }
    if (at >= window_from && at < window_to) counted++;
    if (at < window_to && workload != IDLE) return next_statement(c);
    busy--;
    c->state = READY;
}

static void ready(struct client *c) {
    if (workload == IDLE) return next_statement(c);
    if (workload == CONNECT) return goodbye(c);
    busy--;
    c->state = READY;
}

static void prepare(struct client *c) {
    if (workload != PREPARED) return ready(c);
    if (mysql) {
        static const char text[] = "\26SELECT pad FROM points WHERE id = ?";
        send_bytes(c, c->small, frame(c, 0, 0, text, sizeof text - 1));
    } else {
        static const char text[] = "s\0SELECT pad FROM points WHERE id = $1\0\0";
        size_t at = frame(c, 0, 'P', text, sizeof text);
        send_bytes(c, c->small, frame(c, at, 'S', "", 0));
    }
    c->state = PREPARE;
}

static void mysql_login(struct client *c) {
    uint8_t body[128] = {0};
    /* LONG_PASSWORD, LONG_FLAG, CONNECT_WITH_DB, LOCAL_FILES, PROTOCOL_41, TRANSACTIONS, SECURE_CONNECTION, PLUGIN_AUTH */
    put32le(body, 1 | 4 | 8 | 0x80 | 0x200 | 0x2000 | 0x8000 | 0x80000);
    put32le(body + 4, 1 << 24);
    body[8] = 45; /* utf8mb4 */
    static const char names[] = "root\0\0bench\0mysql_native_password";
    memcpy(body + 32, names, sizeof names);
    send_bytes(c, c->small, frame(c, 0, 1, body, 32 + sizeof names));
    c->state = LOGIN;
}

static void on_packet(struct client *c, const uint8_t *body, uint32_t length) {
    int first = length ? body[0] : -1;
    if (first == 0xff && c->state != COLUMNS) {
        uint32_t shown = length < sizeof c->head ? length : sizeof c->head;
        die("the server says: %.*s", shown > 3 ? (int)shown - 3 : 0, (const char *)body + 3);
    }
    int end = first == 0xfe && length < 9;
    switch (c->state) {
    case GREETING: return mysql_login(c);
    case LOGIN:
        if (first != 0) die("the server wants another way to log in (%d)", first);
        return prepare(c);
    case PREPARE:
        c->statement = body[1] | body[2] << 8 | body[3] << 16 | (uint32_t)body[4] << 24;
        c->left = 1 + 1 + 1 + 1; /* a parameter and its EOF, a column and its EOF */
        c->state = PREPARE_TAIL;
        return;
    case PREPARE_TAIL:
        if (--c->left == 0) ready(c);
        return;
    case ANSWER:
        if (first == 0) return finished(c);
        if (first == 0xfb) {
            c->state = LOADING;
            send_bytes(c, file, file_bytes);
            return;
        }
        c->left = (uint32_t)first + 1;
        c->state = COLUMNS;
        return;
    case COLUMNS:
        if (--c->left == 0) c->state = ROWS;
        return;
    case ROWS:
        if (end) return finished(c);
        c->rows++;
        return;
    case LOADING:
        if (first == 0) return finished(c);
        break;
    default: break;
    }
    die("a packet that nobody awaits: %d in state %d", first, c->state);
}

static void on_message(struct client *c, int type, const uint8_t *body, uint32_t length) {
    switch (type) {
    case 'D': c->rows++; return;
    case 'E': die("the server says: %.*s", length < sizeof c->head ? (int)length : (int)sizeof c->head, (const char *)body); return;
    case 'R':
        if (get32be(body) != 0) die("the server wants a password");
        return;
    case 'G':
        c->state = LOADING;
        send_bytes(c, file, file_bytes);
        return;
    case 'Z':
        if (c->state == LOGIN) return prepare(c);
        if (c->state == PREPARE) return ready(c);
        if (c->state == ANSWER || c->state == LOADING) return finished(c);
        die("ready for a query in state %d", c->state);
        return;
    default: return;
    }
}

static void consume(struct client *c, const uint8_t *p, size_t count) {
    const uint32_t header = mysql ? 4 : 5;
    while (count) {
        if (c->have < header) {
            uint32_t take = header - c->have < count ? header - c->have : (uint32_t)count;
            memcpy(c->header + c->have, p, take);
            c->have += take, p += take, count -= take;
            if (c->have < header) return;
            c->length = mysql ? c->header[0] | c->header[1] << 8 | (uint32_t)c->header[2] << 16 : get32be(c->header + 1) - 4;
            c->body = 0;
        }
        uint32_t missing = c->length - c->body;
        const uint8_t *body = p;
        if (c->body || missing > count) {
            /* In pieces: only its beginning is kept. */
            uint32_t take = missing < count ? missing : (uint32_t)count;
            if (c->body < sizeof c->head) {
                uint32_t room = (uint32_t)sizeof c->head - c->body;
                memcpy(c->head + c->body, p, take < room ? take : room);
            }
            c->body += take, p += take, count -= take;
            if (c->body < c->length) return;
            body = c->head;
        } else {
            p += missing, count -= missing;
        }
        c->have = 0;
        if (mysql) on_packet(c, body, c->length);
        else on_message(c, c->header[0], body, c->length);
    }
}

static void opened(struct client *c) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) die("connect: %s", strerror(error));
    c->state = mysql ? GREETING : LOGIN;
    c->watches_writes = -1; /* the next flush tells epoll */
    if (mysql) return flush_out(c);
    static const char names[] = "\0\3\0\0user\0postgres\0database\0bench\0";
    put32be(c->small, (uint32_t)sizeof names + 4);
    memcpy(c->small + 4, names, sizeof names);
    send_bytes(c, c->small, sizeof names + 4);
}

static void open_connection(struct client *c) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (clients > 1 ? SOCK_NONBLOCK : 0), 0);
    if (c->fd < 0) die("socket: %s", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->state = CONNECTED, c->have = 0;
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS) die("connect: %s", strerror(errno));
    watch(c, 1, EPOLL_CTL_ADD);
    if (clients == 1) opened(c);
}

static void readable(struct client *c) {
    ssize_t n = recv(c->fd, input, sizeof input, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (c->state == BYE && n <= 0) {
        close(c->fd);
        return finished(c);
    }
    if (n < 0) die("recv: %s in state %d", strerror(errno), c->state);
    if (n == 0) die("the server closed a connection in state %d", c->state);
    bytes += (uint64_t)n;
    consume(c, input, (size_t)n);
}

/* --- the whole ------------------------------------------------------------------------------------------------------------ */

/* Until no client is busy. */
static void loop(void) {
    while (busy > 0) {
        if (clients == 1) {
            /* Blocking: one system call less per statement, as a client library of one connection does. */
            readable(all);
            continue;
        }
        struct epoll_event events[64];
        int n = epoll_wait(poller, events, 64, 60000);
        if (n == 0) die("nothing came for a minute: %d clients wait, the first in state %d", busy, all[0].state);
        for (int i = 0; i < n; i++) {
            struct client *c = events[i].data.ptr;
            if (c->state == CONNECTED) {
                opened(c);
                continue;
            }
            if (events[i].events & EPOLLOUT) flush_out(c);
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) readable(c);
        }
    }
}

/* FILE in pieces of what psql and the mariadb program send, and the mark of its end. */
static void read_file(const char *path) {
    FILE *in = fopen(path, "rb");
    if (!in) die("%s: %s", path, strerror(errno));
    const size_t piece = mysql ? 16384 : 8192, header = mysql ? 4 : 5;
    size_t n, room = 1 << 20;
    uint8_t sequence = 2;
    file = malloc(room);
    do {
        if (file && file_bytes + 2 * (piece + header) > room) file = realloc(file, room *= 2);
        if (!file) die("no memory");
        uint8_t *at = file + file_bytes;
        n = fread(at + header, 1, piece, in);
        for (size_t i = 0; i < n; i++) file_lines += at[header + i] == '\n';
        if (mysql) {
            put32le(at, (uint32_t)n);
            at[3] = sequence++;
        } else if (n) {
            at[0] = 'd';
            put32be(at + 1, (uint32_t)n + 4);
        } else {
            memcpy(at, "c\0\0\0\4", 5);
        }
        file_bytes += n + header;
    } while (n);
    fclose(in);
}

static int by_size(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static double percentile(double part) {
    if (!sample_count) return -1;
    size_t at = (size_t)((double)sample_count * part);
    return samples[at < sample_count ? at : sample_count - 1] / 10.0;
}

static double processor(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

int main(int argc, char **argv) {
    if (argc < 8) die("usage: driver mysql|postgres PORT WORKLOAD CLIENTS SECONDS WARM_UP ROWS [FILE]");
    mysql = !strcmp(argv[1], "mysql");
    port = atoi(argv[2]);
    while (workload < IDLE && strcmp(argv[3], NAMES[workload])) workload++;
    if (strcmp(argv[3], NAMES[workload])) die("%s is no workload", argv[3]);
    clients = atoi(argv[4]);
    double seconds = atof(argv[5]), warm_up = atof(argv[6]);
    rows_there = strtoull(argv[7], NULL, 10);
    if (clients < 1 || !rows_there) die("CLIENTS and ROWS are at least 1");
    if (workload == LOAD) read_file(argc > 8 ? argv[8] : "");

    poller = epoll_create1(EPOLL_CLOEXEC);
    all = calloc((size_t)clients, sizeof *all);
    if (!all) die("no memory");
    if (workload != CONNECT) {
        /* Sixteen at a time: no listen queue overflows. */
        for (int i = 0; i < clients;) {
            for (int n = 0; n < 16 && i < clients; n++, i++) {
                busy++;
                open_connection(all + i);
            }
            loop();
        }
    }
    puts("ready");
    fflush(stdout);
    if (getchar() == EOF) return 0;

    statements = counted = bytes = 0;
    double cpu = processor();
    uint64_t start = now();
    window_from = start + (uint64_t)(warm_up * 1e9);
    window_to = window_from + (uint64_t)(seconds * 1e9);
    busy = workload == IDLE ? 0 : clients;
    if (workload != IDLE)
        for (int i = 0; i < clients; i++) next_statement(all + i);
    loop();
    double took = (double)(now() - start) / 1e9;
    /* Few of the long statements end in a window, and what was sent or received in it says little, for socket buffers hold
     * much of a file. So all of them count, to the end of the last. */
    if (workload == LOAD) bytes = statements * file_bytes;
    if (workload == LOAD || workload == RESULT) seconds = took;
    qsort(samples, sample_count, sizeof *samples, by_size);
    printf("{\"statements\": %llu, \"counted\": %llu, \"bytes\": %llu, \"seconds\": %.6f, \"all_seconds\": %.6f, \"samples\": %zu, "
           "\"p50_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f, \"cpu_seconds\": %.6f}\n",
           (unsigned long long)statements, (unsigned long long)counted, (unsigned long long)bytes, seconds, took, sample_count,
           percentile(0.5), percentile(0.99), percentile(1.0), processor() - cpu);
    fflush(stdout);
    while (getchar() != EOF) {}
    return 0;
}
