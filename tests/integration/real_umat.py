# SPDX-License-Identifier: Apache-2.0
"""OpenCV on the device (UMat) against OpenCV on the host (Mat), operation by operation.

Run by test_real_programs.py. The results of a device may differ from the host's in the last bits, so each operation has a
tolerance.
"""
import functools
import sys

import cv2
import numpy as np

from each_test import each

RANDOM = np.random.default_rng(7)
GREY = RANDOM.integers(0, 256, (331, 517), dtype=np.uint8)
COLOUR = RANDOM.integers(0, 256, (331, 517, 3), dtype=np.uint8)
FLOATS = RANDOM.random((256, 320), dtype=np.float32)
SMOOTH = cv2.GaussianBlur(COLOUR, (9, 9), 3)
KERNEL = np.ones((5, 5), np.uint8)
AFFINE = np.float32([[0.9, 0.1, 5], [-0.05, 1.1, -3]])
PERSPECTIVE = np.float32([[1, 0.05, 3], [0.02, 0.95, 2], [1e-4, 2e-4, 1]])
MAP_Y, MAP_X = [(grid + 4 * np.sin(grid / 11)).astype(np.float32) for grid in np.mgrid[0:331, 0:517].astype(np.float32)]

# Name, what is done, on which pictures, how far a value may be off.
OPERATIONS = {
    "add": (lambda a, b: cv2.add(a, b), (GREY, GREY[::-1].copy()), 0),
    "subtract": (lambda a, b: cv2.subtract(a, b), (GREY, GREY[::-1].copy()), 0),
    "multiply": (lambda a, b: cv2.multiply(a, b, scale=0.01), (GREY, GREY[::-1].copy()), 1),
    "absdiff": (lambda a, b: cv2.absdiff(a, b), (COLOUR, COLOUR[:, ::-1].copy()), 0),
    "addWeighted": (lambda a, b: cv2.addWeighted(a, 0.3, b, 0.7, 2), (COLOUR, COLOUR[:, ::-1].copy()), 1),
    "bitwise_xor": (lambda a, b: cv2.bitwise_xor(a, b), (GREY, GREY[::-1].copy()), 0),
    "compare": (lambda a, b: cv2.compare(a, b, cv2.CMP_GT), (GREY, GREY[::-1].copy()), 0),
    "inRange": (lambda a: cv2.inRange(a, (20, 30, 40), (200, 210, 220)), (COLOUR,), 0),
    "min": (lambda a, b: cv2.min(a, b), (GREY, GREY[::-1].copy()), 0),
    "sqrt": (lambda a: cv2.sqrt(a), (FLOATS,), 1e-5),
    "exp": (lambda a: cv2.exp(a), (FLOATS,), 1e-4),
    "pow": (lambda a: cv2.pow(a, 2.5), (FLOATS,), 1e-4),
    "gemm": (lambda a, b: cv2.gemm(a, b, 1.5, None, 0, flags=cv2.GEMM_2_T), (FLOATS, FLOATS), 2e-2),
    "transpose": (lambda a: cv2.transpose(a), (COLOUR,), 0),
    "flip": (lambda a: cv2.flip(a, -1), (COLOUR,), 0),
    "repeat": (lambda a: cv2.repeat(a, 2, 3), (GREY,), 0),
    "merge and split": (lambda a: cv2.merge(cv2.split(a)[::-1]), (COLOUR,), 0),
    "normalize": (lambda a: cv2.normalize(a, None, 0, 255, cv2.NORM_MINMAX), (GREY,), 1),
    "reduce": (lambda a: cv2.reduce(a, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32S), (GREY,), 0),
    "sum": (lambda a: np.array(cv2.sumElems(a)), (GREY,), 0),
    "mean and deviation": (lambda a: np.array([as_host(part) for part in cv2.meanStdDev(a)]), (GREY,), 1e-3),
    "norm": (lambda a: np.array([cv2.norm(a, cv2.NORM_L2)]), (GREY,), 1),
    "minMaxLoc": (lambda a: np.array(cv2.minMaxLoc(a)[:2]), (FLOATS,), 0),
    "countNonZero": (lambda a: np.array([cv2.countNonZero(a)]), (GREY,), 0),
    "dft": (lambda a: cv2.dft(a, flags=cv2.DFT_COMPLEX_OUTPUT), (FLOATS,), 5e-2),
    "LUT": (lambda a: cv2.LUT(a, np.arange(255, -1, -1, dtype=np.uint8)), (COLOUR,), 0),
    "cvtColor to grey": (lambda a: cv2.cvtColor(a, cv2.COLOR_BGR2GRAY), (COLOUR,), 1),
    "cvtColor to HSV": (lambda a: cv2.cvtColor(a, cv2.COLOR_BGR2HSV), (COLOUR,), 2),
    "cvtColor to Lab": (lambda a: cv2.cvtColor(a, cv2.COLOR_BGR2Lab), (COLOUR,), 2),
    "cvtColor to YUV": (lambda a: cv2.cvtColor(a, cv2.COLOR_BGR2YUV), (COLOUR,), 1),
    "resize linear": (lambda a: cv2.resize(a, (400, 200), interpolation=cv2.INTER_LINEAR), (SMOOTH,), 2),
    "resize area": (lambda a: cv2.resize(a, (200, 100), interpolation=cv2.INTER_AREA), (SMOOTH,), 2),
    "warpAffine": (lambda a: cv2.warpAffine(a, AFFINE, (500, 300)), (SMOOTH,), 8),
    "warpPerspective": (lambda a: cv2.warpPerspective(a, PERSPECTIVE, (500, 300)), (SMOOTH,), 8),
    "remap": (lambda a: cv2.remap(a, MAP_X, MAP_Y, cv2.INTER_LINEAR), (SMOOTH,), 8),
    "blur": (lambda a: cv2.blur(a, (7, 5)), (COLOUR,), 1),
    "GaussianBlur": (lambda a: cv2.GaussianBlur(a, (9, 9), 2.5), (COLOUR,), 2),
    "medianBlur": (lambda a: cv2.medianBlur(a, 5), (COLOUR,), 0),
    "bilateralFilter": (lambda a: cv2.bilateralFilter(a, 7, 40, 40), (COLOUR,), 4),
    "filter2D": (lambda a: cv2.filter2D(a, -1, np.float32(KERNEL) / 25), (COLOUR,), 1),
    "sepFilter2D": (lambda a: cv2.sepFilter2D(a, cv2.CV_32F, np.float32([1, 2, 1]), np.float32([1, 0, -1])), (GREY,), 1e-2),
    "Sobel": (lambda a: cv2.Sobel(a, cv2.CV_16S, 1, 0), (GREY,), 0),
    "Laplacian": (lambda a: cv2.Laplacian(a, cv2.CV_16S, ksize=3), (GREY,), 0),
    "Canny": (lambda a: cv2.Canny(a, 60, 120), (cv2.GaussianBlur(GREY, (5, 5), 2),), 0),
    "erode": (lambda a: cv2.erode(a, KERNEL), (COLOUR,), 0),
    "dilate": (lambda a: cv2.dilate(a, KERNEL, iterations=2), (COLOUR,), 0),
    "morphology gradient": (lambda a: cv2.morphologyEx(a, cv2.MORPH_GRADIENT, KERNEL), (GREY,), 0),
    "threshold": (lambda a: cv2.threshold(a, 100, 200, cv2.THRESH_BINARY)[1], (GREY,), 0),
    "integral": (lambda a: cv2.integral(a), (GREY,), 0),
    "equalizeHist": (lambda a: cv2.equalizeHist(a), (GREY,), 1),
    "calcHist": (lambda a: cv2.calcHist([a], [0], None, [64], [0, 256]), (GREY,), 0),
    "CLAHE": (lambda a: cv2.createCLAHE(2.0, (8, 8)).apply(a), (GREY,), 1),
    "pyrDown": (lambda a: cv2.pyrDown(a), (COLOUR,), 1),
    "pyrUp": (lambda a: cv2.pyrUp(a), (COLOUR,), 1),
    "matchTemplate": (lambda a: cv2.matchTemplate(a, a[40:80, 50:100] if isinstance(a, np.ndarray) else
                                                  cv2.UMat(a, [40, 80], [50, 100]), cv2.TM_SQDIFF_NORMED), (GREY,), 1e-2),
    "goodFeaturesToTrack": (lambda a: as_host(cv2.goodFeaturesToTrack(a, 30, 0.01, 10)).shape[:1], (GREY,), 5),
    "cornerHarris": (lambda a: cv2.cornerHarris(a, 3, 3, 0.04), (GREY,), 1e-2),
    "ORB": (lambda a: np.array([len(cv2.ORB_create(200).detect(a, None))]), (GREY,), 40),
    "fastNlMeansDenoising": (lambda a: cv2.fastNlMeansDenoising(a, None, 10, 5, 11), (GREY[:120, :160].copy(),), 6),
    "optical flow": (lambda a, b: cv2.calcOpticalFlowFarneback(a, b, None, 0.5, 2, 15, 2, 5, 1.2, 0),
                     (SMOOTH[:, :, 0].copy(), np.roll(SMOOTH[:, :, 0], 2, axis=1)), 1.0),
}


def as_host(value):
    return value.get() if isinstance(value, cv2.UMat) else value


def why_not(name):
    try:
        return difference(name)
    except cv2.error as error:
        return str(error).strip()


def difference(name):
    operation, pictures, tolerance = OPERATIONS[name]
    host = np.asarray(as_host(operation(*pictures)), dtype=np.float64)
    device = np.asarray(as_host(operation(*[cv2.UMat(picture) for picture in pictures])), dtype=np.float64)
    if host.shape != device.shape:
        return f"the shapes are {host.shape} and {device.shape}"
    # One value in a thousand may be further off: edges fall to either side of a threshold.
    far = np.mean(np.abs(host - device) > tolerance)
    return None if far <= 1e-3 else f"{far:.2%} of the values differ by more than {tolerance}"


def main():
    if not cv2.ocl.haveOpenCL():
        print("no OpenCL")
        return 1
    cv2.ocl.setUseOpenCL(True)
    cv2.setNumThreads(1)
    print(f"OpenCV {cv2.__version__}: OpenCL {'on' if cv2.ocl.useOpenCL() else 'off'}")
    if not cv2.ocl.useOpenCL():
        return 1
    each({name: functools.partial(why_not, name) for name in OPERATIONS})
    return 0


if __name__ == "__main__":
    sys.exit(main())
