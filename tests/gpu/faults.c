// Preloaded before Vulkan: makes a GPU fail on demand, and counts the memory that is taken on it.
//
// The file that GPU_FAULT names says how: "lost" (the driver gave up), "memory" (none is left), "hang" or "die". The
// file that GPU_MEMORY names gets the bytes that are taken, as text.
//
//     cc -shared -fPIC -o faults.so faults.c -ldl

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// ref: vulkan_core.h
enum { OUT_OF_DEVICE_MEMORY = -2, DEVICE_LOST = -4 };
struct allocate_info {
    int type;
    const void *next;
    uint64_t size;
    uint32_t memory_type;
};
struct block {
    uint64_t memory, size;
};

typedef void (*any)(void);
typedef any (*get_address)(void *, const char *);

static any wrapper(const char *name, any real);
static struct block blocks[4096];
static int (*real_submit)(void *, uint32_t, const void *, uint64_t);
static int (*real_allocate)(void *, const struct allocate_info *, const void *, uint64_t *);
static void (*real_free)(void *, uint64_t, const void *);

static int is_asked(const char *fault) {
    char word[16] = "";
    const char *path = getenv("GPU_FAULT");
    FILE *file = path ? fopen(path, "r") : NULL;
    if (file) {
        if (!fgets(word, sizeof word, file)) {
            word[0] = 0;
        }
        fclose(file);
    }
    return !strcmp(word, fault);
}

static void tell_memory(void) {
    uint64_t total = 0;
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        total += blocks[i].size;
    }
    const char *path = getenv("GPU_MEMORY");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (file) {
        fprintf(file, "%llu", (unsigned long long) total);
        fclose(file);
    }
}

// The block of `memory`, or with 0 a free one.
static struct block *find(uint64_t memory) {
    size_t i = 0;
    while (blocks[i].memory != memory) {
        i++;
    }
    return &blocks[i];
}

static int submit(void *queue, uint32_t count, const void *submits, uint64_t fence) {
    if (is_asked("hang")) {
        sleep(3600);
    }
    if (is_asked("die")) {
        abort();
    }
    return is_asked("lost") ? DEVICE_LOST : real_submit(queue, count, submits, fence);
}

static int allocate(void *device, const struct allocate_info *info, const void *callbacks, uint64_t *memory) {
    const int result = is_asked("memory") ? OUT_OF_DEVICE_MEMORY : real_allocate(device, info, callbacks, memory);
    if (result == 0) {
        *find(0) = (struct block) {*memory, info->size};
        tell_memory();
    }
    return result;
}

static void give_back(void *device, uint64_t memory, const void *callbacks) {
    if (memory) {
        *find(memory) = (struct block) {0, 0};
        tell_memory();
    }
    real_free(device, memory, callbacks);
}

// A function of the loader, which is no part of the program's global symbols.
static get_address loader(const char *name) {
    return (get_address) dlsym(dlopen("libvulkan.so.1", RTLD_LAZY), name);
}

any vkGetDeviceProcAddr(void *device, const char *name) {
    return wrapper(name, loader("vkGetDeviceProcAddr")(device, name));
}

any vkGetInstanceProcAddr(void *instance, const char *name) {
    return wrapper(name, loader("vkGetInstanceProcAddr")(instance, name));
}

static any wrapper(const char *name, any real) {
    if (!real) {
        return real;
    }
    if (!strcmp(name, "vkGetDeviceProcAddr")) {
        return (any) vkGetDeviceProcAddr;
    }
    if (!strcmp(name, "vkQueueSubmit")) {
        real_submit = (void *) real;
        return (any) submit;
    }
    if (!strcmp(name, "vkAllocateMemory")) {
        real_allocate = (void *) real;
        return (any) allocate;
    }
    if (!strcmp(name, "vkFreeMemory")) {
        real_free = (void *) real;
        return (any) give_back;
    }
    return real;
}
