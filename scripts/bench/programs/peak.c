/* What this machine can do at most: multiply-adds a second in f32 and bf16, and bytes copied a second.
 *
 *   cc -O3 -march=native -pthread peak.c -o peak && ./peak THREADS
 *
 * Prints `name value` lines: f32_gflops, bf16_gflops (AVX512-BF16), amx_bf16_gflops, copy_gbytes (bytes read plus
 * bytes written, buffers far larger than the caches). A kind that the processor lacks is left out. Each figure is the
 * best of five, summed over the threads.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

typedef float vec __attribute__((vector_size(64)));
enum { CHAIN_COUNT = 12, TURNS = 20000000, COPY_BYTES = 512 << 20, REPEATS = 5 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static volatile float keep;

/* Twelve independent chains hide the latency of a multiply-add; the empty statement keeps each in a register. */
#define CHAINS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define HELD(k) __asm__ volatile("" : "+v"(a##k));
#define TAKEN(k) keep += a##k[0];

static double f32(void) {
    vec x, y;
    for (int i = 0; i < 16; i++) { x[i] = 0.999f; y[i] = 0.001f; }
#define START(k) vec a##k = x;
#define TURN(k) a##k = a##k * x + y; HELD(k)
    CHAINS(START)
    for (long n = 0; n < TURNS; n++) { CHAINS(TURN) }
    CHAINS(TAKEN)
#undef START
#undef TURN
    return 2.0 * 16 * CHAIN_COUNT * TURNS;
}

#ifdef __AVX512BF16__
static double bf16(void) {
    __m512bh x = (__m512bh)_mm512_set1_epi16(0x3c00), y = (__m512bh)_mm512_set1_epi16(0x3c01);
#define START(k) __m512 a##k = _mm512_setzero_ps();
#define TURN(k) a##k = _mm512_dpbf16_ps(a##k, x, y); HELD(k)
    CHAINS(START)
    for (long n = 0; n < TURNS; n++) { CHAINS(TURN) }
    CHAINS(TAKEN)
#undef START
#undef TURN
    return 2.0 * 32 * CHAIN_COUNT * TURNS;
}
#endif

#ifdef __AMX_BF16__
static double amx(void) {
    struct { uint8_t palette, start, zero[14]; uint16_t width[16]; uint8_t rows[16]; } shape;
    static _Thread_local uint16_t data[16 * 32] __attribute__((aligned(64)));
    memset(&shape, 0, sizeof shape);
    shape.palette = 1;
    for (int i = 0; i < 8; i++) { shape.width[i] = 64; shape.rows[i] = 16; }
    _tile_loadconfig(&shape);
    for (int i = 0; i < 16 * 32; i++) data[i] = 0x3c00;
    _tile_zero(0); _tile_zero(1); _tile_zero(2); _tile_zero(3);
    _tile_loadd(4, data, 64); _tile_loadd(5, data, 64); _tile_loadd(6, data, 64); _tile_loadd(7, data, 64);
    for (long n = 0; n < TURNS / 16; n++) {
        _tile_dpbf16ps(0, 4, 6); _tile_dpbf16ps(1, 4, 7); _tile_dpbf16ps(2, 5, 6); _tile_dpbf16ps(3, 5, 7);
    }
    float out[16 * 16];
    _tile_stored(0, out, 64);
    keep += out[0];
    _tile_release();
    return 4.0 * 2 * 16 * 16 * 32 * (TURNS / 16);
}
#endif

static double copy(void) {
    static _Thread_local char *from, *to;
    if (!from) {
        from = malloc(COPY_BYTES); to = malloc(COPY_BYTES);
        if (!from || !to) exit(1);
        memset(from, 1, COPY_BYTES); memset(to, 2, COPY_BYTES);
    }
    memcpy(to, from, COPY_BYTES);
    keep += to[COPY_BYTES / 2];
    return 2.0 * COPY_BYTES;
}

struct job { double (*work)(void); pthread_barrier_t *gate; double amount, seconds; };

static void *go(void *argument) {
    struct job *job = argument;
    for (int i = 0; i <= REPEATS; i++) { /* the first turn warms up */
        pthread_barrier_wait(job->gate);
        double began = now();
        job->amount = job->work();
        double spent = now() - began;
        if (i && spent < job->seconds) job->seconds = spent;
    }
    return NULL;
}

static void measure(const char *name, double (*work)(void), int threads) {
    pthread_t id[64];
    struct job jobs[64];
    pthread_barrier_t gate;
    pthread_barrier_init(&gate, NULL, (unsigned)threads);
    double sum = 0;
    for (int i = 0; i < threads; i++) {
        jobs[i] = (struct job){work, &gate, 0, 1e9};
        if (pthread_create(&id[i], NULL, go, &jobs[i])) exit(1);
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(id[i], NULL);
        sum += jobs[i].amount / jobs[i].seconds / 1e9;
    }
    printf("%s %.1f\n", name, sum);
    fflush(stdout);
}

int main(int count, char **words) {
    int threads = count > 1 ? atoi(words[1]) : 1;
    if (threads < 1 || threads > 64) return 2;
    measure("f32_gflops", f32, threads);
#ifdef __AVX512BF16__
    measure("bf16_gflops", bf16, threads);
#endif
#ifdef __AMX_BF16__
    if (syscall(SYS_arch_prctl, 0x1023 /* ARCH_REQ_XCOMP_PERM */, 18 /* tile data */) == 0)
        measure("amx_bf16_gflops", amx, threads);
#endif
    measure("copy_gbytes", copy, threads);
    return 0;
}
