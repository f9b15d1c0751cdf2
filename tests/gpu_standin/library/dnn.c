/* libcudnn.so.9: every operation succeeds as one kernel on the stream of its handle.
 *
 * ONNX Runtime uses two sides of cuDNN: functions for pooling, reductions and activations, and for convolutions the
 * graph API, where a description is built from attributes, a heuristic names engines, and a plan is made from one of
 * them. Here one engine takes every description and asks for a little scratch memory.
 */
#include <stdlib.h>
#include <string.h>

#include "standin.h"

enum { NOT_INITIALIZED = 1001, EXECUTION_FAILED = 5000 };                    /* cudnnStatus_t */
enum { HEURISTIC_RESULTS = 202, CONFIG_ENGINE = 300, PLAN_WORKSPACE = 402 }; /* cudnnBackendAttributeName_t */
enum { CONFIG_SHARED_MEMORY = 304, PLAN_JSON = 405, ENGINE_INDEX = 1301 };
enum { SCRATCH_BYTES = 1 << 20 };

struct handle {
    struct stream *stream;
};

struct description { /* cudnnBackendDescriptor_t */
    int type;
};

size_t cudnnGetVersion(void) { return 91500; }
const char *cudnnGetErrorString(status code) { return code == OK ? "CUDNN_STATUS_SUCCESS" : "CUDNN_STATUS_ERROR"; }
void cudnnGetLastErrorString(char *text, size_t bytes) {
    if (bytes > 0) text[0] = 0;
}

status cudnnCreate(struct handle **handle) {
    *handle = standin_handle();
    return OK;
}
status cudnnDestroy(struct handle *handle) {
    standin_drop_handle(handle);
    return OK;
}
status cudnnSetStream(struct handle *handle, struct stream *stream) {
    handle->stream = stream;
    return OK;
}
status cudnnGetStream(struct handle *handle, struct stream **stream) {
    *stream = handle->stream;
    return OK;
}

status cudnnBackendCreateDescriptor(int type, struct description **description) {
    *description = calloc(1, sizeof **description);
    (*description)->type = type;
    return OK;
}
status cudnnBackendDestroyDescriptor(struct description *description) {
    free(description);
    return OK;
}
status cudnnBackendFinalize(struct description *description) {
    (void)description;
    return OK;
}
status cudnnBackendSetAttribute(struct description *description, int name, int type, int64_t count, const void *value) {
    (void)description, (void)name, (void)type, (void)count, (void)value;
    return OK;
}

status cudnnBackendGetAttribute(struct description *description, int name, int type, int64_t wanted, int64_t *count,
                                void *value) {
    (void)description, (void)type;
    int64_t found = 0; /* engines have neither knobs nor notes */
    switch (name) {
        case HEURISTIC_RESULTS: /* the caller made the descriptions that are to be filled */
        case CONFIG_ENGINE: found = 1; break;
        case PLAN_WORKSPACE:
            found = 1;
            if (wanted > 0) *(int64_t *)value = SCRATCH_BYTES;
            break;
        case ENGINE_INDEX:
            found = 1;
            if (wanted > 0) *(int64_t *)value = 0;
            break;
        case CONFIG_SHARED_MEMORY:
            found = 1;
            if (wanted > 0) *(int32_t *)value = 0;
            break;
        case PLAN_JSON:
            found = 3;
            if (wanted >= found) memcpy(value, "{}", 3);
            break;
        default: break;
    }
    if (count != NULL) *count = found;
    return OK;
}

status cudnnBackendExecute(struct handle *handle, struct description *plan, struct description *pack) {
    (void)plan, (void)pack;
    return standin_enqueue(handle->stream) == OK ? OK : EXECUTION_FAILED;
}

#define DESCRIPTOR(name)                                                                                               \
    status cudnnCreate##name##Descriptor(void **descriptor) {                                                          \
        *descriptor = calloc(1, 256);                                                                                  \
        return OK;                                                                                                     \
    }                                                                                                                  \
    status cudnnDestroy##name##Descriptor(void *descriptor) {                                                          \
        free(descriptor);                                                                                              \
        return OK;                                                                                                     \
    }
DESCRIPTOR(Activation)
DESCRIPTOR(Convolution)
DESCRIPTOR(Dropout)
DESCRIPTOR(Filter)
DESCRIPTOR(LRN)
DESCRIPTOR(Pooling)
DESCRIPTOR(RNN)
DESCRIPTOR(RNNData)
DESCRIPTOR(ReduceTensor)
DESCRIPTOR(Tensor)

#define NOTHING(name)                                                                                                  \
    status name(void) { return OK; }
NOTHING(cudnnDeriveBNTensorDescriptor)
NOTHING(cudnnSetActivationDescriptor)
NOTHING(cudnnSetConvolutionGroupCount)
NOTHING(cudnnSetConvolutionMathType)
NOTHING(cudnnSetConvolutionNdDescriptor)
NOTHING(cudnnSetDropoutDescriptor)
NOTHING(cudnnSetFilterNdDescriptor)
NOTHING(cudnnSetLRNDescriptor)
NOTHING(cudnnSetPoolingNdDescriptor)
NOTHING(cudnnSetRNNDataDescriptor)
NOTHING(cudnnSetRNNDescriptor_v8)
NOTHING(cudnnSetReduceTensorDescriptor)
NOTHING(cudnnSetTensorNdDescriptor)

#define KERNEL(name)                                                                                                   \
    status name(struct handle *handle) { return standin_enqueue(handle->stream) == OK ? OK : EXECUTION_FAILED; }
KERNEL(cudnnActivationForward)
KERNEL(cudnnAddTensor)
KERNEL(cudnnBatchNormalizationForwardInference)
KERNEL(cudnnBatchNormalizationForwardTraining)
KERNEL(cudnnConvolutionBiasActivationForward)
KERNEL(cudnnConvolutionForward)
KERNEL(cudnnLRNCrossChannelForward)
KERNEL(cudnnPoolingForward)
KERNEL(cudnnRNNForward)
KERNEL(cudnnReduceTensor)
KERNEL(cudnnSoftmaxForward)

/* Asked for by operators that no graph of ours has: answering an error shows when one does. */
#define MISSING(name)                                                                                                  \
    status name(void) { return NOT_INITIALIZED; }
MISSING(cudnnDropoutGetStatesSize)
MISSING(cudnnFindConvolutionForwardAlgorithmEx)
MISSING(cudnnGetConvolutionForwardAlgorithm_v7)
MISSING(cudnnGetConvolutionForwardWorkspaceSize)
MISSING(cudnnGetRNNTempSpaceSizes)
MISSING(cudnnGetRNNWeightParams)
MISSING(cudnnGetTensorNdDescriptor)

status cudnnGetReductionIndicesSize(struct handle *handle, void *reduction, void *input, void *output, size_t *bytes) {
    (void)handle, (void)reduction, (void)input, (void)output;
    *bytes = 0;
    return OK;
}
status cudnnGetReductionWorkspaceSize(struct handle *handle, void *reduction, void *input, void *output,
                                      size_t *bytes) {
    return cudnnGetReductionIndicesSize(handle, reduction, input, output, bytes);
}
