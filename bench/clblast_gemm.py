# SPDX-License-Identifier: Apache-2.0
"""A matrix product by CLBlast, called through its C interface from PyOpenCL objects; prints GFLOP/s, best of several."""
import ctypes
import time

import numpy as np
import pyopencl as cl

N, ROUNDS = 1024, 8
blast = ctypes.CDLL("libclblast.so.1")
context = cl.Context([cl.get_platforms()[0].get_devices()[0]])
queue = cl.CommandQueue(context)
random = np.random.default_rng(3)
a, b = (random.random((N, N), dtype=np.float32) for _ in range(2))
buffers = [cl.Buffer(context, cl.mem_flags.READ_WRITE | cl.mem_flags.COPY_HOST_PTR, hostbuf=m) for m in (a, b, np.zeros_like(a))]


def gemm():
    size, real, handle = ctypes.c_size_t, ctypes.c_float, ctypes.c_void_p
    raw = ctypes.c_void_p(queue.int_ptr)
    row_major, plain = 101, 111
    status = blast.CLBlastSgemm(row_major, plain, plain, size(N), size(N), size(N), real(1), handle(buffers[0].int_ptr), size(0),
                                size(N), handle(buffers[1].int_ptr), size(0), size(N), real(0), handle(buffers[2].int_ptr),
                                size(0), size(N), ctypes.byref(raw), None)
    if status != 0:
        raise SystemExit(f"CLBlastSgemm gave {status}")
    queue.finish()


gemm()
best = float("inf")
for _ in range(ROUNDS):
    begin = time.perf_counter()
    gemm()
    best = min(best, time.perf_counter() - begin)
out = np.empty_like(a)
cl.enqueue_copy(queue, out, buffers[2])
if not np.allclose(out, a @ b, rtol=1e-3):
    raise SystemExit("wrong product")
print(2 * N**3 / best / 1e9)
