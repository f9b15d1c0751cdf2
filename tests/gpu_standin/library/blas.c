/* libcublas.so.13 and libcublasLt.so.13: a product is one kernel on the stream of its handle. */
#include <string.h>

#include "standin.h"

struct handle {
    struct stream *stream;
};

status cublasCreate_v2(struct handle **handle) {
    *handle = standin_handle();
    return OK;
}
status cublasDestroy_v2(struct handle *handle) {
    standin_drop_handle(handle);
    return OK;
}
status cublasSetStream_v2(struct handle *handle, struct stream *stream) {
    handle->stream = stream;
    return OK;
}
status cublasGetMathMode(struct handle *handle, int *mode) {
    (void)handle;
    *mode = 0;
    return OK;
}
status cublasSetMathMode(struct handle *handle, int mode) {
    (void)handle, (void)mode;
    return OK;
}
const char *cublasGetStatusName(status code) { return code == OK ? "CUBLAS_STATUS_SUCCESS" : "CUBLAS_STATUS_ERROR"; }
const char *cublasGetStatusString(status code) { return cublasGetStatusName(code); }

/* cuBLAS answers a failed launch with CUBLAS_STATUS_EXECUTION_FAILED, 13. */
#define PRODUCT(name)                                                                                                  \
    status name(struct handle *handle) { return standin_enqueue(handle->stream) == OK ? OK : 13; }
PRODUCT(cublasDcopy_v2)
PRODUCT(cublasDgeam)
PRODUCT(cublasDgemmBatched)
PRODUCT(cublasDgemmStridedBatched)
PRODUCT(cublasDgemm_v2)
PRODUCT(cublasDgetrfBatched)
PRODUCT(cublasDgetriBatched)
PRODUCT(cublasGemmBatchedEx)
PRODUCT(cublasGemmEx)
PRODUCT(cublasGemmStridedBatchedEx)
PRODUCT(cublasScopy_v2)
PRODUCT(cublasSgeam)
PRODUCT(cublasSgemmBatched)
PRODUCT(cublasSgemmStridedBatched)
PRODUCT(cublasSgemm_v2)
PRODUCT(cublasSgetrfBatched)
PRODUCT(cublasSgetriBatched)
PRODUCT(cublasSscal_v2)
