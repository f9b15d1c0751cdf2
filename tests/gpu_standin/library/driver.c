/* libcuda.so.1: what the doctor, the runtime and ONNX Runtime ask the driver. */
#include <string.h>

#include "standin.h"

status cuInit(unsigned flags) {
    (void)flags;
    return OK;
}
status cuDriverGetVersion(int *version) {
    *version = 13000;
    return OK;
}
status cuDeviceGetCount(int *count) {
    *count = 1;
    return OK;
}
status cuDeviceGet(int *device, int index) {
    *device = index;
    return OK;
}
status cuDeviceGetName(char *name, int length, int device) {
    (void)device;
    strncpy(name, "Stand-in H100", (size_t)length);
    return OK;
}
status cuDeviceTotalMem_v2(size_t *bytes, int device) {
    (void)device;
    *bytes = (size_t)80 << 30;
    return OK;
}
status cuDeviceGetAttribute(int *value, int attribute, int device) {
    (void)device;
    *value = attribute == 75 ? 9 : attribute == 16 ? 132 : 0; /* compute capability 9.0, 132 multiprocessors */
    return OK;
}
status cuGetErrorString(status code, const char **text) {
    (void)code;
    *text = "an error of the stand-in";
    return OK;
}
status cuGetErrorName(status code, const char **text) { return cuGetErrorString(code, text); }
status cuTensorMapEncodeTiled(void) { return OK; }

/* The driver and the runtime share their memory, but not their errors: the runtime does not keep those of the driver. */
status cudaGetLastError(void);
status cudaMallocHost(void **address, size_t bytes);
status cudaFreeHost(void *address);
status cudaMemcpy(void *target, const void *source, size_t bytes, int kind);

status cuMemHostAlloc(void **address, size_t bytes, unsigned flags) {
    (void)flags;
    status code = cudaMallocHost(address, bytes);
    if (code != OK) cudaGetLastError();
    return code;
}
status cuMemFreeHost(void *address) { return cudaFreeHost(address); }
status cuMemcpyDtoH_v2(void *target, uint64_t source, size_t bytes) {
    return cudaMemcpy(target, (const void *)(uintptr_t)source, bytes, 2);
}
