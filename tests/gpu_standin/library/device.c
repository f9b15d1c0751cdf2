/* One device that says it is an H100, and kernels, which are registered and launched without doing anything. */
#include <stdio.h>
#include <string.h>

#include "standin.h"

struct properties { /* cudaDeviceProp of CUDA 13; runs of fields that nobody here sets are arrays */
    char name[256];
    char ids[24];
    unsigned id_mask;
    size_t memory, shared_per_block;
    int registers_per_block, warp;
    size_t pitch;
    int threads_per_block, block_size[3], grid_size[3];
    size_t constants;
    int major, minor;
    size_t alignment[2];
    int multiprocessors, integrated, maps_host, textures_and_surfaces[39];
    size_t surface_alignment;
    int concurrent, ecc, pci[3], tcc, copy_engines, unified, bus, l2_bytes, persisting, threads_per_multiprocessor;
    int caches[3];
    size_t shared_per_multiprocessor;
    int registers_per_multiprocessor, managed[8], cooperative;
    size_t shared_per_block_optin;
    int managed_host[2], blocks_per_multiprocessor, policy_window;
    size_t shared_reserved;
    int features[20], reserved[56];
};

enum { MULTIPROCESSORS = 132, THREADS = 1024, SHARED_OPTIN = 232448 };

status cudaGetDeviceProperties(struct properties *p, int device) {
    (void)device;
    memset(p, 0, sizeof *p);
    strcpy(p->name, "Stand-in H100");
    p->major = 9;
    p->memory = (size_t)80 << 30;
    p->multiprocessors = MULTIPROCESSORS;
    p->warp = 32;
    p->threads_per_block = p->block_size[0] = p->block_size[1] = THREADS;
    p->block_size[2] = 64;
    p->grid_size[0] = 0x7fffffff;
    p->grid_size[1] = p->grid_size[2] = 65535;
    p->threads_per_multiprocessor = 2048;
    p->blocks_per_multiprocessor = 32;
    p->shared_per_block = 49152;
    p->shared_per_block_optin = SHARED_OPTIN;
    p->shared_per_multiprocessor = 233472;
    p->registers_per_block = p->registers_per_multiprocessor = 65536;
    p->l2_bytes = 50 << 20;
    p->cooperative = p->concurrent = p->unified = 1;
    return OK;
}

status cudaDeviceGetAttribute(int *value, int attribute, int device) {
    (void)device;
    switch (attribute) {
        case 16: *value = MULTIPROCESSORS; break;
        case 75: *value = 9; break; /* compute capability 9.0 */
        case 18: /* integrated */
        case 76: *value = 0; break;
        case 97: *value = SHARED_OPTIN; break;
        default: *value = THREADS;
    }
    return OK;
}

status cudaGetDeviceCount(int *count) {
    *count = 1;
    return OK;
}
status cudaGetDevice(int *device) {
    *device = 0;
    return OK;
}
status cudaSetDevice(int device) { return device == 0 ? OK : standin_fail(101); }
status cudaDriverGetVersion(int *version) {
    *version = 13000;
    return OK;
}
status cudaRuntimeGetVersion(int *version) { return cudaDriverGetVersion(version); }
status cudaGetDriverEntryPointByVersion(const char *name, void **function, unsigned version, unsigned long long flags,
                                        int *found) {
    (void)name, (void)version, (void)flags;
    *function = NULL;
    if (found != NULL) *found = 1; /* no such symbol */
    return OK;
}

struct dimensions {
    unsigned x, y, z;
};

struct launch { /* cudaLaunchConfig_t */
    struct dimensions grid, block;
    size_t shared;
    struct stream *stream;
};

status cudaLaunchKernel(const void *kernel, struct dimensions grid, struct dimensions block, void **arguments,
                        size_t shared, struct stream *stream) {
    (void)kernel, (void)grid, (void)block, (void)arguments, (void)shared;
    return standin_enqueue(stream);
}
status __cudaLaunchKernel(const void *kernel, struct dimensions grid, struct dimensions block, void **arguments,
                          size_t shared, struct stream *stream) {
    return cudaLaunchKernel(kernel, grid, block, arguments, shared, stream);
}
status cudaLaunchCooperativeKernel(const void *kernel, struct dimensions grid, struct dimensions block,
                                   void **arguments, size_t shared, struct stream *stream) {
    return cudaLaunchKernel(kernel, grid, block, arguments, shared, stream);
}
status cudaLaunchKernelExC(const struct launch *launch, const void *kernel, void **arguments) {
    (void)kernel, (void)arguments;
    return standin_enqueue(launch->stream);
}

/* What <<<grid, block, shared, stream>>> leaves for the launch that follows it in the same thread. */
static __thread struct launch pushed;

unsigned __cudaPushCallConfiguration(struct dimensions grid, struct dimensions block, size_t shared,
                                     struct stream *stream) {
    pushed = (struct launch){grid, block, shared, stream};
    return 0;
}
status __cudaPopCallConfiguration(struct dimensions *grid, struct dimensions *block, size_t *shared,
                                  struct stream **stream) {
    *grid = pushed.grid;
    *block = pushed.block;
    *shared = pushed.shared;
    *stream = pushed.stream;
    return OK;
}

status cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks, const void *kernel, int threads,
                                                              size_t shared, unsigned flags) {
    (void)kernel, (void)threads, (void)shared, (void)flags;
    *blocks = 2;
    return OK;
}

struct function_attributes { /* cudaFuncAttributes */
    size_t shared, constants, local;
    int threads, registers, versions[2], cache, dynamic_shared, carveout, cluster[6], reserved[16];
};

status cudaFuncGetAttributes(struct function_attributes *attributes, const void *kernel) {
    (void)kernel;
    memset(attributes, 0, sizeof *attributes);
    attributes->threads = THREADS;
    attributes->registers = 32;
    attributes->dynamic_shared = SHARED_OPTIN;
    return OK;
}
status cudaFuncSetAttribute(const void *kernel, int attribute, int value) {
    (void)kernel, (void)attribute, (void)value;
    return OK;
}

static char module[64];

void **__cudaRegisterFatBinary(void *binary) {
    (void)binary;
    return (void **)module;
}
void __cudaRegisterFatBinaryEnd(void **binary) { (void)binary; }
void __cudaUnregisterFatBinary(void **binary) { (void)binary; }
void __cudaRegisterFunction(void) {}
void __cudaRegisterVar(void) {}
status __cudaGetKernel(void **kernel, const void *host) {
    *kernel = (void *)host;
    return OK;
}
status cudaLibraryLoadData(void **library) {
    *library = module;
    return OK;
}
status cudaLibraryUnload(void *library) {
    (void)library;
    return OK;
}
status cudaLibraryGetKernel(void **kernel) {
    *kernel = module;
    return OK;
}
status cudaKernelSetAttributeForDevice(void *kernel, int attribute, int value, int device) {
    (void)kernel, (void)attribute, (void)value, (void)device;
    return OK;
}
