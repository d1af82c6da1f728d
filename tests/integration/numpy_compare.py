# SPDX-License-Identifier: Apache-2.0
"""A PyOpenCL program as people write it; every result is compared with numpy's."""
import numpy as np
import pyopencl as cl
import pyopencl.array as cl_array
from pyopencl.elementwise import ElementwiseKernel
from pyopencl.reduction import ReductionKernel
from pyopencl.scan import InclusiveScanKernel

platform = cl.get_platforms()[0]
context = cl.Context([platform.get_devices()[0]])
queue = cl.CommandQueue(context, properties=cl.command_queue_properties.PROFILING_ENABLE)
random = np.random.default_rng(1)


def check(name, good):
    print(("ok " if good else "FAILED ") + name)
    if not good:
        raise SystemExit(1)


a = random.random(50_000, dtype=np.float32)
b = random.random(50_000, dtype=np.float32)

# The sum of two vectors, as in PyOpenCL's own demo.
flags = cl.mem_flags
a_g = cl.Buffer(context, flags.READ_ONLY | flags.COPY_HOST_PTR, hostbuf=a)
b_g = cl.Buffer(context, flags.READ_ONLY | flags.COPY_HOST_PTR, hostbuf=b)
out_g = cl.Buffer(context, flags.WRITE_ONLY, a.nbytes)
program = cl.Program(context, """
__kernel void sum(__global const float *a, __global const float *b, __global float *out) {
  int gid = get_global_id(0);
  out[gid] = a[gid] + b[gid];
}
""").build()
event = program.sum(queue, a.shape, None, a_g, b_g, out_g)
event.wait()
out = np.empty_like(a)
cl.enqueue_copy(queue, out, out_g)
check("demo", np.array_equal(out, a + b))
check("profile", event.profile.end >= event.profile.start)

# Arrays.
x = cl_array.to_device(queue, a)
y = cl_array.to_device(queue, b)
check("array", np.allclose((2 * x + y * y - 1).get(), 2 * a + b * b - 1, rtol=1e-6))
check("array sum", np.allclose(cl_array.sum(x).get(), a.sum(dtype=np.float64), rtol=1e-4))
check("array dot", np.allclose(cl_array.dot(x, y).get(), np.dot(a.astype(np.float64), b), rtol=1e-4))

# Generated kernels.
linear = ElementwiseKernel(context, "float k1, float *a, float k2, float *b, float *c", "c[i] = k1*a[i] + k2*b[i]", "linear")
z = cl_array.empty_like(x)
linear(5, x, 6, y, z)
check("elementwise", np.allclose(z.get(), 5 * a + 6 * b, rtol=1e-6))
biggest = ReductionKernel(context, np.float32, neutral="-INFINITY", reduce_expr="fmax(a,b)", map_expr="x[i]*y[i]",
                          arguments="__global float *x, __global float *y")
check("reduction", biggest(x, y).get() == (a * b).max())
ints = random.integers(0, 100, 30_000).astype(np.int32)
scanned = cl_array.to_device(queue, ints)
InclusiveScanKernel(context, np.int32, "a+b", neutral="0")(scanned)
check("scan", np.array_equal(scanned.get(), np.cumsum(ints, dtype=np.int32)))

# A matrix product with local memory.
n, tile = 128, 16
source = """
#define T %d
__kernel void mul(__global const float *a, __global const float *b, __global float *c, int n, __local float *s, __local float *t) {
  int x = get_local_id(0), y = get_local_id(1), gx = get_global_id(0), gy = get_global_id(1);
  float sum = 0;
  for (int k = 0; k < n; k += T) {
    s[y * T + x] = a[gy * n + k + x];
    t[y * T + x] = b[(k + y) * n + gx];
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int i = 0; i < T; ++i) sum += s[y * T + i] * t[i * T + x];
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  c[gy * n + gx] = sum;
}
""" % tile
m1, m2 = random.random((n, n), dtype=np.float32), random.random((n, n), dtype=np.float32)
g1, g2 = cl_array.to_device(queue, m1), cl_array.to_device(queue, m2)
g3 = cl_array.empty_like(g1)
mul = cl.Program(context, source).build("-cl-mad-enable").mul
local = cl.LocalMemory(tile * tile * 4)
mul(queue, (n, n), (tile, tile), g1.data, g2.data, g3.data, np.int32(n), local, cl.LocalMemory(tile * tile * 4))
check("matrix product", np.allclose(g3.get(), m1 @ m2, rtol=1e-4))

# A map, and a rectangle.
mapped, _ = cl.enqueue_map_buffer(queue, out_g, cl.map_flags.READ, 0, a.shape, a.dtype)
check("map", np.array_equal(mapped, a + b))
mapped.base.release(queue)
picture = np.arange(64 * 64, dtype=np.int32).reshape(64, 64)
rect_g = cl.Buffer(context, flags.READ_WRITE | flags.COPY_HOST_PTR, hostbuf=picture)
part = np.zeros((8, 16), dtype=np.int32)
cl.enqueue_copy(queue, part, rect_g, buffer_origin=(16 * 4, 8, 0), host_origin=(0, 0, 0), region=(16 * 4, 8, 1),
                buffer_pitches=(64 * 4,), host_pitches=(16 * 4,))
check("rectangle", np.array_equal(part, picture[8:16, 16:32]))

# Errors are errors.
try:
    cl.Program(context, "__kernel void k( {").build()
    check("build error", False)
except cl.RuntimeError:
    check("build error", True)
try:
    program.sum(queue, (16,), (5,), a_g, b_g, out_g).wait()
    print("note odd local size is taken")
except cl.LogicError as error:
    print("note odd local size:", error.code)
print("ok all")
