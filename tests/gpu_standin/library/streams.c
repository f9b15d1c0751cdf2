/* Streams, events, captures and graphs, with the rules of CUDA about what a capture forbids. */
#include <stdlib.h>

#include "standin.h"

struct graph {
    long launches;
};

struct executable {
    long launches;
    struct executable *next;
};

static struct stream *streams;
static struct executable *executables;

static status create(struct stream **stream) {
    *stream = calloc(1, sizeof **stream);
    pthread_mutex_lock(&standin_lock);
    (*stream)->next = streams;
    streams = *stream;
    standin_add(COUNT_live_streams, 1);
    pthread_mutex_unlock(&standin_lock);
    return OK;
}

static void invalidate(struct stream *stream) {
    if (stream->capturing != 1) return;
    stream->capturing = 2;
    standin_add(COUNT_broken_captures, 1);
}

/* A capture in global mode forbids to every thread, one in thread mode to its own thread, what might wait for the device.
 * A forbidden call breaks the capture. */
status standin_unsafe(void) {
    status code = OK;
    for (struct stream *stream = streams; stream != NULL; stream = stream->next) {
        int mine = pthread_equal(stream->thread, pthread_self());
        if (stream->capturing && (stream->mode == 0 || (stream->mode == 1 && mine))) {
            invalidate(stream);
            code = CAPTURE_UNSUPPORTED;
        }
    }
    return code;
}

/* The legacy stream waits for all others, so its use breaks every capture. */
static status enqueue(struct stream *stream) {
    if (stream == NULL) {
        status code = OK;
        for (struct stream *other = streams; other != NULL; other = other->next)
            if (other->capturing) {
                invalidate(other);
                code = CAPTURE_IMPLICIT;
            }
        if (code == OK) standin_add(COUNT_launches, 1);
        return code;
    }
    if (stream->capturing == 0) {
        standin_add(COUNT_launches, 1);
        return OK;
    }
    if (stream->capturing == 1 && standin_refuses(REFUSE_fail_launch_in_capture)) {
        invalidate(stream);
        return CAPTURE_UNSUPPORTED;
    }
    if (stream->capturing == 2) return CAPTURE_INVALIDATED;
    stream->launches++;
    standin_add(COUNT_captured_launches, 1);
    return OK;
}

status standin_enqueue(struct stream *stream) {
    standin_works();
    pthread_mutex_lock(&standin_lock);
    status code = enqueue(stream);
    pthread_mutex_unlock(&standin_lock);
    return standin_fail(code);
}

status cudaStreamCreate(struct stream **stream) { return create(stream); }
status cudaStreamCreateWithFlags(struct stream **stream, unsigned flags) {
    (void)flags;
    return create(stream);
}

status cudaStreamDestroy(struct stream *stream) {
    pthread_mutex_lock(&standin_lock);
    struct stream **place = &streams;
    while (*place != NULL && *place != stream) place = &(*place)->next;
    if (*place != NULL) {
        *place = stream->next;
        standin_add(COUNT_live_streams, -1);
    }
    pthread_mutex_unlock(&standin_lock);
    free(stream);
    return OK;
}

/* Waiting for a stream that captures breaks its capture. */
status cudaStreamSynchronize(struct stream *stream) {
    pthread_mutex_lock(&standin_lock);
    status code = OK;
    if (stream != NULL && stream->capturing) {
        code = stream->capturing == 1 ? CAPTURE_UNSUPPORTED : CAPTURE_INVALIDATED;
        invalidate(stream);
    }
    pthread_mutex_unlock(&standin_lock);
    return standin_fail(code);
}

status cudaDeviceSynchronize(void) {
    pthread_mutex_lock(&standin_lock);
    status code = standin_unsafe();
    pthread_mutex_unlock(&standin_lock);
    return standin_fail(code);
}

status cudaStreamIsCapturing(struct stream *stream, int *answer) {
    *answer = stream == NULL ? 0 : stream->capturing;
    return OK;
}

status cudaStreamBeginCapture(struct stream *stream, int mode) {
    if (stream == NULL) return standin_fail(CAPTURE_UNSUPPORTED);
    if (stream->capturing) return standin_fail(INVALID_VALUE);
    pthread_mutex_lock(&standin_lock);
    stream->capturing = 1;
    stream->mode = mode;
    stream->thread = pthread_self();
    stream->launches = 0;
    standin_add(COUNT_captures, 1);
    pthread_mutex_unlock(&standin_lock);
    standin_pause(REFUSE_pause_in_capture);
    return OK;
}

status cudaStreamEndCapture(struct stream *stream, struct graph **graph) {
    pthread_mutex_lock(&standin_lock);
    *graph = NULL;
    status code = OK;
    if (stream == NULL || stream->capturing == 0)
        code = INVALID_VALUE;
    else if (stream->mode != 2 && !pthread_equal(stream->thread, pthread_self()))
        code = CAPTURE_WRONG_THREAD;
    else {
        if (standin_refuses(REFUSE_fail_capture)) invalidate(stream);
        if (stream->capturing == 2) code = CAPTURE_INVALIDATED;
        stream->capturing = 0;
    }
    if (code == OK) {
        *graph = malloc(sizeof **graph);
        (*graph)->launches = stream->launches;
    }
    pthread_mutex_unlock(&standin_lock);
    return standin_fail(code);
}

status cudaGraphInstantiate(struct executable **executable, struct graph *graph, unsigned long long flags) {
    (void)flags;
    if (graph == NULL) return standin_fail(INVALID_VALUE);
    *executable = malloc(sizeof **executable);
    pthread_mutex_lock(&standin_lock);
    **executable = (struct executable){graph->launches, executables};
    executables = *executable;
    standin_add(COUNT_live_executables, 1);
    pthread_mutex_unlock(&standin_lock);
    return OK;
}

status cudaGraphDestroy(struct graph *graph) {
    free(graph);
    return OK;
}

static struct executable **find(struct executable *executable) {
    struct executable **place = &executables;
    while (*place != NULL && *place != executable) place = &(*place)->next;
    return place;
}

status cudaGraphExecDestroy(struct executable *executable) {
    pthread_mutex_lock(&standin_lock);
    struct executable **place = find(executable);
    status code = *place == NULL ? INVALID_HANDLE : OK;
    if (code == OK) {
        *place = executable->next;
        standin_add(COUNT_live_executables, -1);
        free(executable);
    }
    pthread_mutex_unlock(&standin_lock);
    return standin_fail(code);
}

status cudaGraphLaunch(struct executable *executable, struct stream *stream) {
    standin_works();
    pthread_mutex_lock(&standin_lock);
    status code = *find(executable) == NULL ? INVALID_HANDLE : enqueue(stream);
    if (code == OK) standin_add(COUNT_replays, 1);
    pthread_mutex_unlock(&standin_lock);
    return standin_fail(code);
}

status cudaEventCreateWithFlags(void **event, unsigned flags) {
    (void)flags;
    *event = malloc(1);
    return OK;
}
status cudaEventCreate(void **event) { return cudaEventCreateWithFlags(event, 0); }
status cudaEventDestroy(void *event) {
    free(event);
    return OK;
}
status cudaEventRecord(void *event, void *stream) {
    (void)event, (void)stream;
    return OK;
}
status cudaEventSynchronize(void *event) {
    (void)event;
    return OK;
}
status cudaEventElapsedTime(float *milliseconds, void *start, void *end) {
    (void)start, (void)end;
    *milliseconds = 1;
    return OK;
}
status cudaStreamWaitEvent(void *stream, void *event, unsigned flags) {
    (void)stream, (void)event, (void)flags;
    return OK;
}
status cudaLaunchHostFunc(struct stream *stream, void (*function)(void *), void *argument) {
    status code = standin_enqueue(stream);
    if (code == OK && !stream->capturing) function(argument);
    return code;
}
