/* libcublasLt.so.13: products with an epilogue, which take their stream with each call. */
#include <string.h>

#include "standin.h"

status cublasLtCreate(void **handle) {
    *handle = standin_handle();
    return OK;
}
status cublasLtDestroy(void *handle) {
    standin_drop_handle(handle);
    return OK;
}

#define DESCRIPTOR(name)                                                                                               \
    status cublasLt##name##Create(void **descriptor) { return cublasLtCreate(descriptor); }                            \
    status cublasLt##name##Destroy(void *descriptor) { return cublasLtDestroy(descriptor); }
DESCRIPTOR(MatmulDesc)
DESCRIPTOR(MatmulPreference)
DESCRIPTOR(MatrixLayout)
DESCRIPTOR(MatrixTransformDesc)

#define NOTHING(name)                                                                                                  \
    status name(void) { return OK; }
NOTHING(cublasLtMatmulAlgoConfigSetAttribute)
NOTHING(cublasLtMatmulAlgoInit)
NOTHING(cublasLtMatmulDescSetAttribute)
NOTHING(cublasLtMatmulPreferenceSetAttribute)
NOTHING(cublasLtMatrixLayoutSetAttribute)

struct heuristic { /* cublasLtMatmulHeuristicResult_t */
    uint64_t algorithm[8];
    size_t workspace;
    status state;
    float waves;
    int reserved[4];
};

status cublasLtMatmulAlgoGetHeuristic(void *handle, void *operation, void *a, void *b, void *c, void *d,
                                      void *preference, int wanted, struct heuristic *results, int *found) {
    (void)handle, (void)operation, (void)a, (void)b, (void)c, (void)d, (void)preference;
    memset(results, 0, (size_t)wanted * sizeof *results);
    *found = 1;
    return OK;
}

status cublasLtMatmul(void *handle, void *operation, const void *alpha, const void *a, void *layout_a, const void *b,
                      void *layout_b, const void *beta, const void *c, void *layout_c, void *d, void *layout_d,
                      const void *algorithm, void *workspace, size_t bytes, struct stream *stream) {
    (void)handle, (void)operation, (void)alpha, (void)a, (void)layout_a, (void)b, (void)layout_b, (void)beta;
    (void)c, (void)layout_c, (void)d, (void)layout_d, (void)algorithm, (void)workspace, (void)bytes;
    return standin_enqueue(stream) == OK ? OK : 13;
}

status cublasLtMatrixTransform(void *handle, void *operation, const void *alpha, const void *a, void *layout_a,
                               const void *beta, const void *b, void *layout_b, void *c, void *layout_c,
                               struct stream *stream) {
    (void)handle, (void)operation, (void)alpha, (void)a, (void)layout_a, (void)beta, (void)b, (void)layout_b;
    (void)c, (void)layout_c;
    return standin_enqueue(stream) == OK ? OK : 13;
}
