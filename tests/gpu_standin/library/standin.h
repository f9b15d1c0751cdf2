/* What the parts of the stand-in for CUDA share.
 *
 * The stand-in is a set of shared libraries with the names of the real ones (libcudart.so.13, libcuda.so.1,
 * libcublas.so.13, libcublasLt.so.13, libcurand.so.10, libcudnn.so.9). Nothing is computed: a kernel is a number that is
 * counted. Kept as CUDA keeps it is the state around the kernels: which memory is live, which stream captures for which
 * thread, which graphs exist, and which calls a capture forbids. The types are our own, of the sizes that CUDA 13 has.
 *
 * Tests read and steer it through two functions of libcudart.so.13: standin_count and standin_set.
 */
#ifndef STANDIN_H
#define STANDIN_H
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

typedef int status; /* cudaError_t, CUresult, cublasStatus_t, cudnnStatus_t */

enum {
    OK = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    INVALID_HANDLE = 400,
    CAPTURE_UNSUPPORTED = 900,
    CAPTURE_INVALIDATED = 901,
    CAPTURE_UNMATCHED = 903,
    CAPTURE_IMPLICIT = 906,
    CAPTURE_WRONG_THREAD = 908,
};

/* Counters by name. The live_ ones go down again; the others only rise. */
#define COUNTERS(X)                                                                                                    \
    X(live_device_blocks)                                                                                              \
    X(live_device_bytes)                                                                                               \
    X(live_pinned_blocks)                                                                                              \
    X(live_streams)                                                                                                    \
    X(live_executables)                                                                                                \
    X(live_handles)                                                                                                    \
    X(mallocs)                                                                                                         \
    X(launches)                                                                                                        \
    X(captured_launches)                                                                                               \
    X(captures)                                                                                                        \
    X(broken_captures)                                                                                                 \
    X(replays)                                                                                                         \
    X(pinned_copies)                                                                                                   \
    X(pageable_copies)                                                                                                 \
    X(working_threads)

/* What a test can ask for. Each counts down to the call that fails; 0 fails none, a negative number all. */
#define REFUSALS(X)                                                                                                    \
    X(fail_malloc)                                                                                                     \
    X(fail_pinned)                                                                                                     \
    X(fail_capture)                                                                                                    \
    X(fail_launch_in_capture)                                                                                          \
    X(pause_in_capture) /* milliseconds at the start of each capture, so that other threads come in between */

#define AS_COUNTER(name) COUNT_##name,
#define AS_REFUSAL(name) REFUSE_##name,
enum counter { COUNTERS(AS_COUNTER) COUNTER_NUMBER };
enum refusal { REFUSALS(AS_REFUSAL) REFUSAL_NUMBER };

struct stream {
    int capturing; /* 0 no, 1 active, 2 invalidated, as cudaStreamCaptureStatus */
    int mode;      /* 0 global, 1 of the thread, 2 relaxed, as cudaStreamCaptureMode */
    pthread_t thread;
    long launches; /* in the capture */
    struct stream *next;
};

enum memory { UNKNOWN, DEVICE, PINNED };

extern pthread_mutex_t standin_lock;
void standin_add(enum counter counter, long value); /* with the lock held */
int standin_refuses(enum refusal refusal);          /* with the lock held; counts down */
void standin_pause(enum refusal refusal);           /* sleeps for its milliseconds */
status standin_fail(status code);                   /* keeps the error for cudaGetLastError */
status standin_unsafe(void);                        /* a call that a global capture forbids; with the lock held */
status standin_enqueue(struct stream *stream);      /* one kernel */
void standin_works(void);                           /* counts the threads that allocate, copy or launch */
void *standin_handle(void);                         /* of a library: counted while it is live */
void standin_drop_handle(void *handle);
enum memory standin_memory_of(const void *address);
#endif
