/* Counters, refusals and errors. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "standin.h"

#define AS_NAME(name) #name,
static const char *const counter_names[] = {COUNTERS(AS_NAME)};
static const char *const refusal_names[] = {REFUSALS(AS_NAME)};
static long counts[COUNTER_NUMBER];
static long refusals[REFUSAL_NUMBER];
static __thread status last_error;
static __thread int works;

pthread_mutex_t standin_lock = PTHREAD_MUTEX_INITIALIZER;

static int find(const char *name, const char *const *names, int number) {
    for (int index = 0; index < number; index++)
        if (strcmp(name, names[index]) == 0) return index;
    return -1;
}

/* For tests: the value of a counter; -1 for a name that is none. */
long standin_count(const char *name) {
    int index = find(name, counter_names, COUNTER_NUMBER);
    if (index < 0) return -1;
    pthread_mutex_lock(&standin_lock);
    long value = counts[index];
    pthread_mutex_unlock(&standin_lock);
    return value;
}

/* For tests: the value of a request of REFUSALS; -1 for a name that is none. */
int standin_set(const char *name, long value) {
    int index = find(name, refusal_names, REFUSAL_NUMBER);
    if (index < 0) return -1;
    pthread_mutex_lock(&standin_lock);
    refusals[index] = value;
    pthread_mutex_unlock(&standin_lock);
    return 0;
}

void standin_add(enum counter counter, long value) { counts[counter] += value; }

int standin_refuses(enum refusal refusal) {
    return refusals[refusal] < 0 || (refusals[refusal] > 0 && --refusals[refusal] == 0);
}

void standin_pause(enum refusal refusal) {
    long milliseconds = refusals[refusal];
    struct timespec duration = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    if (milliseconds > 0) nanosleep(&duration, NULL);
}

status standin_fail(status code) {
    if (code != OK) last_error = code;
    return code;
}

void standin_works(void) {
    if (works) return;
    works = 1;
    pthread_mutex_lock(&standin_lock);
    standin_add(COUNT_working_threads, 1);
    pthread_mutex_unlock(&standin_lock);
}

void *standin_handle(void) {
    pthread_mutex_lock(&standin_lock);
    standin_add(COUNT_live_handles, 1);
    pthread_mutex_unlock(&standin_lock);
    return calloc(1, 256);
}

void standin_drop_handle(void *handle) {
    pthread_mutex_lock(&standin_lock);
    standin_add(COUNT_live_handles, -1);
    pthread_mutex_unlock(&standin_lock);
    free(handle);
}

status cudaGetLastError(void) {
    status code = last_error;
    last_error = OK;
    return code;
}

status cudaPeekAtLastError(void) { return last_error; }

const char *cudaGetErrorName(status code) { return code == OUT_OF_MEMORY ? "cudaErrorMemoryAllocation" : "cudaError"; }

const char *cudaGetErrorString(status code) {
    switch (code) {
        case OK: return "no error";
        case OUT_OF_MEMORY: return "out of memory";
        case CAPTURE_UNSUPPORTED: return "operation not permitted when stream is capturing";
        case CAPTURE_INVALIDATED: return "operation failed due to a previous error during capture";
        case CAPTURE_IMPLICIT: return "operation would make the legacy stream depend on a capturing blocking stream";
        default: return "an error of the stand-in";
    }
}
