/* Memory of the device and pinned memory of the host: both lie in the host's memory, and are told apart by a list. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "standin.h"

struct block {
    char *start;
    size_t bytes;
    enum memory kind;
    struct block *next;
};

static struct block *blocks;

static status allocate(void **address, size_t bytes, enum memory kind, enum refusal refusal) {
    standin_works();
    pthread_mutex_lock(&standin_lock);
    standin_add(COUNT_mallocs, 1);
    status code = standin_unsafe();
    if (code == OK && standin_refuses(refusal)) code = OUT_OF_MEMORY;
    if (code == OK) {
        struct block *block = malloc(sizeof *block);
        size_t size = bytes ? bytes : 1;
        /* Only pages that are written take memory: scratch of models that are never computed costs nothing. */
        void *start = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        *block = (struct block){start, size, kind, blocks};
        blocks = block;
        standin_add(kind == DEVICE ? COUNT_live_device_blocks : COUNT_live_pinned_blocks, 1);
        if (kind == DEVICE) standin_add(COUNT_live_device_bytes, (long)size);
        *address = start;
    }
    pthread_mutex_unlock(&standin_lock);
    return standin_fail(code);
}

static status release(void *address, enum memory kind) {
    if (address == NULL) return OK;
    pthread_mutex_lock(&standin_lock);
    status code = standin_unsafe();
    struct block **place = &blocks;
    while (*place != NULL && ((*place)->start != address || (*place)->kind != kind)) place = &(*place)->next;
    struct block *block = *place;
    if (code == OK && block == NULL) code = INVALID_VALUE;
    if (code == OK) {
        *place = block->next;
        standin_add(kind == DEVICE ? COUNT_live_device_blocks : COUNT_live_pinned_blocks, -1);
        if (kind == DEVICE) standin_add(COUNT_live_device_bytes, -(long)block->bytes);
        munmap(block->start, block->bytes);
        free(block);
    }
    pthread_mutex_unlock(&standin_lock);
    return standin_fail(code);
}

enum memory standin_memory_of(const void *address) {
    enum memory kind = UNKNOWN;
    pthread_mutex_lock(&standin_lock);
    for (struct block *block = blocks; block != NULL; block = block->next)
        if ((const char *)address >= block->start && (const char *)address < block->start + block->bytes)
            kind = block->kind;
    pthread_mutex_unlock(&standin_lock);
    return kind;
}

status cudaMalloc(void **address, size_t bytes) { return allocate(address, bytes, DEVICE, REFUSE_fail_malloc); }
status cudaMallocFromPoolAsync(void **address, size_t bytes, void *pool, void *stream) {
    (void)pool, (void)stream;
    return cudaMalloc(address, bytes);
}
status cudaMallocHost(void **address, size_t bytes) { return allocate(address, bytes, PINNED, REFUSE_fail_pinned); }
status cudaHostAlloc(void **address, size_t bytes, unsigned flags) {
    (void)flags;
    return cudaMallocHost(address, bytes);
}
status cudaFree(void *address) { return release(address, DEVICE); }
status cudaFreeAsync(void *address, void *stream) {
    (void)stream;
    return release(address, DEVICE);
}
status cudaFreeHost(void *address) { return release(address, PINNED); }

static void copy(void *target, const void *source, size_t bytes) {
    enum memory from = standin_memory_of(source), to = standin_memory_of(target);
    standin_works();
    if (from != DEVICE || to != DEVICE) {
        pthread_mutex_lock(&standin_lock);
        standin_add(from == UNKNOWN || to == UNKNOWN ? COUNT_pageable_copies : COUNT_pinned_copies, 1);
        pthread_mutex_unlock(&standin_lock);
    }
    memmove(target, source, bytes);
}

status cudaMemcpy(void *target, const void *source, size_t bytes, int kind) {
    (void)kind;
    pthread_mutex_lock(&standin_lock);
    status code = standin_unsafe(); /* it waits for the legacy stream */
    pthread_mutex_unlock(&standin_lock);
    if (code == OK) copy(target, source, bytes);
    return standin_fail(code);
}

status cudaMemcpyAsync(void *target, const void *source, size_t bytes, int kind, struct stream *stream) {
    (void)kind;
    status code = standin_enqueue(stream);
    if (code == OK) copy(target, source, bytes);
    return standin_fail(code);
}

status cudaMemcpy2DAsync(void *target, size_t target_pitch, const void *source, size_t source_pitch, size_t width,
                         size_t height, int kind, struct stream *stream) {
    (void)kind;
    status code = standin_enqueue(stream);
    for (size_t row = 0; code == OK && row < height; row++)
        memmove((char *)target + row * target_pitch, (const char *)source + row * source_pitch, width);
    return standin_fail(code);
}

status cudaMemset(void *target, int value, size_t bytes) {
    memset(target, value, bytes);
    return OK;
}

status cudaMemsetAsync(void *target, int value, size_t bytes, struct stream *stream) {
    status code = standin_enqueue(stream);
    if (code == OK) memset(target, value, bytes);
    return standin_fail(code);
}

status cudaMemGetInfo(size_t *free_bytes, size_t *total_bytes) {
    *free_bytes = (size_t)70 << 30;
    *total_bytes = (size_t)80 << 30;
    return OK;
}

status cudaMemcpyFromSymbol(void *target, const void *symbol, size_t bytes, size_t offset, int kind) {
    (void)symbol, (void)offset, (void)kind;
    memset(target, 0, bytes);
    return OK;
}

struct pointer_attributes { /* cudaPointerAttributes */
    int type;               /* 0 unknown to CUDA, 1 host, 2 device */
    int device;
    void *device_pointer, *host_pointer;
    long reserved[8];
};

status cudaPointerGetAttributes(struct pointer_attributes *attributes, const void *address) {
    enum memory kind = standin_memory_of(address);
    memset(attributes, 0, sizeof *attributes);
    attributes->type = kind == DEVICE ? 2 : kind == PINNED ? 1 : 0;
    if (kind == DEVICE) attributes->device_pointer = (void *)address;
    if (kind != DEVICE) attributes->host_pointer = (void *)address;
    return OK;
}

status cudaMemPoolCreate(void **pool, const void *properties) {
    (void)properties;
    *pool = standin_handle();
    return OK;
}
status cudaMemPoolDestroy(void *pool) {
    standin_drop_handle(pool);
    return OK;
}
status cudaMemPoolGetAttribute(void *pool, int attribute, void *value) {
    (void)pool, (void)attribute;
    memset(value, 0, sizeof(uint64_t));
    return OK;
}
status cudaMemPoolSetAttribute(void *pool, int attribute, void *value) {
    (void)pool, (void)attribute, (void)value;
    return OK;
}
status cudaMemPoolTrimTo(void *pool, size_t bytes) {
    (void)pool, (void)bytes;
    return OK;
}
