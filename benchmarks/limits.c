// Limits of a machine for peers.py: int8 multiply-adds a second, and bytes read a second, on all threads.
//
//     cc -O3 -march=native -pthread limits.c -o limits && ./limits THREADS
//
// Prints JSON. The instructions are the best ones that the compiler's flags allow; matrix units (AMX) are left out.

#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { MAX_THREADS = 512, SUMS = 10, UNROLLED = 8, PASSES = 8 };
static const long STEPS = 20 * 1000 * 1000;
static const size_t BYTES = (size_t)1 << 30, HUGE_PAGE = (size_t)1 << 21;

// ADD_PRODUCTS adds products of signed and unsigned bytes to 32-bit sums: the instructions of matrix products.
// Written in assembly, because compilers move products of constants out of the loop.
#if defined(__AVX512VNNI__)
#define INSTRUCTIONS "vpdpbusd, 512 bits"
enum { WIDTH = 64 };
#define ADD_PRODUCTS "vpdpbusd %3, %2, %0"
#elif defined(__AVXVNNI__)
#define INSTRUCTIONS "vpdpbusd, 256 bits"
enum { WIDTH = 32 };
#define ADD_PRODUCTS "%{vex%} vpdpbusd %3, %2, %0"
#elif defined(__AVX512BW__)
#define INSTRUCTIONS "vpmaddubsw, vpmaddwd and vpaddd, 512 bits"
enum { WIDTH = 64 };
#define ADD_PRODUCTS "vpmaddubsw %3, %2, %1\n vpmaddwd %3, %1, %1\n vpaddd %1, %0, %0"
#elif defined(__AVX2__)
#define INSTRUCTIONS "vpmaddubsw, vpmaddwd and vpaddd, 256 bits"
enum { WIDTH = 32 };
#define ADD_PRODUCTS "vpmaddubsw %3, %2, %1\n vpmaddwd %3, %1, %1\n vpaddd %1, %0, %0"
#elif defined(__AVX__)
#define INSTRUCTIONS "vpmaddubsw, vpmaddwd and vpaddd, 128 bits"
enum { WIDTH = 16 };
#define ADD_PRODUCTS "vpmaddubsw %3, %2, %1\n vpmaddwd %3, %1, %1\n vpaddd %1, %0, %0"
#elif defined(__SSSE3__)
#define INSTRUCTIONS "pmaddubsw, pmaddwd and paddd, 128 bits"
enum { WIDTH = 16 };
#define ADD_PRODUCTS "movdqa %2, %1\n pmaddubsw %3, %1\n pmaddwd %3, %1\n paddd %1, %0"
#else
#error "no instructions are known for this processor"
#endif

typedef uint8_t Vector __attribute__((vector_size(WIDTH)));

// 64 bytes, whatever the width of the processor's registers.
typedef uint64_t Wide __attribute__((vector_size(64)));

typedef struct {
    const Wide *begin, *end;
    uint64_t result;
} Part;

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec * 1e-9;
}

#define STEP(sum) __asm__ volatile(ADD_PRODUCTS : "+x"(sum), "+x"(products) : "x"(a), "x"(b));

// Ten independent sums (SUMS) hide the latency of vpdpbusd: five cycles in two units.
static void *multiply(void *argument) {
    Part *part = argument;
    Vector a = {0}, b = a + 1, products = a;
    Vector s0 = a, s1 = a, s2 = a, s3 = a, s4 = a, s5 = a, s6 = a, s7 = a, s8 = a, s9 = a;
    for (long step = 0; step < STEPS; step++) {
        STEP(s0) STEP(s1) STEP(s2) STEP(s3) STEP(s4) STEP(s5) STEP(s6) STEP(s7) STEP(s8) STEP(s9)
    }
    part->result = (s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7 + s8 + s9)[0];
    return NULL;
}

static void *read_all(void *argument) {
    Part *part = argument;
    Wide even = {0}, odd = {0};  // as many registers as the smallest processor has
    for (const Wide *at = part->begin; at < part->end; at += UNROLLED) {
        for (int i = 0; i < UNROLLED; i += 2) {
            even += at[i];
            odd += at[i + 1];
        }
    }
    even += odd;
    for (int i = 0; i < 8; i++) part->result += even[i];
    return NULL;
}

// Seconds of the fastest of some passes of `work` on all threads.
static double fastest(void *(*work)(void *), int n_threads, const Wide *memory, size_t n_wide) {
    static Part parts[MAX_THREADS];
    double best = 1e30;
    size_t share = n_wide / n_threads / UNROLLED * UNROLLED;
    for (int pass = 0; pass < PASSES; pass++) {
        pthread_t threads[MAX_THREADS];
        double started = seconds();
        for (int i = 0; i < n_threads; i++) {
            parts[i] = (Part){memory + i * share, memory + (i + 1) * share, 0};
            if (pthread_create(&threads[i], NULL, work, &parts[i])) exit(1);
        }
        for (int i = 0; i < n_threads; i++) pthread_join(threads[i], NULL);
        double taken = seconds() - started;
        if (taken < best) best = taken;
    }
    volatile uint64_t keep = parts[0].result;
    (void)keep;
    return best;
}

// Bytes read a second, from memory for which madvise was given `advice`; 0 where there is no such memory.
static double bytes_a_second(int n_threads, int advice) {
    char *memory = mmap(NULL, BYTES + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return 0;
    char *aligned = (char *)(((uintptr_t)memory + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1));
    double rate = 0;
    if (!madvise(aligned, BYTES, advice)) {
        memset(aligned, 1, BYTES);
        rate = BYTES / fastest(read_all, n_threads, (const Wide *)aligned, BYTES / sizeof(Wide));
    }
    munmap(memory, BYTES + HUGE_PAGE);
    return rate;
}

int main(int count, char **arguments) {
    int n_threads = count > 1 ? atoi(arguments[1]) : 1;
    if (n_threads < 1 || n_threads > MAX_THREADS) return 2;
    double products = (double)STEPS * SUMS * sizeof(Vector) * n_threads;
    printf("{\"instructions\": \"%s\", \"multiply_adds\": %.4g, ", INSTRUCTIONS,
           products / fastest(multiply, n_threads, NULL, 0));
    printf("\"huge_pages\": %.4g, ", bytes_a_second(n_threads, MADV_HUGEPAGE));
    printf("\"small_pages\": %.4g}\n", bytes_a_second(n_threads, MADV_NOHUGEPAGE));
    return 0;
}
