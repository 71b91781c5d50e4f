"""Batch sizes: chosen by free memory, halved after an out-of-memory error of any device, full again at the next execution."""

import weakref

import pytest
import torch

from codeformer_core import AlignedFaces, Face, restore
from codeformer_core.runtime.batching import TOO_LARGE, BatchLimit, automatic_batch, largest_batch, run_in_batches
from codeformer_core.runtime.out_of_memory import SIGNATURES, free_memory, is_out_of_memory

#: Messages of PyTorch, its libraries and Python.
ERRORS = {
    "CUDA, ROCm and XPU caching allocator": torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    "CUDA driver": RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
    "CUDA, told by the host": RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB"),
    "ROCm": RuntimeError("HIP out of memory. Tried to allocate 2.00 GiB"),
    "ROCm driver": RuntimeError("HIP error: out of memory"),
    "XPU": RuntimeError("XPU out of memory. Tried to allocate 2.00 GiB (GPU 0)"),
    "MPS": RuntimeError(
        "MPS backend out of memory (MPS allocated: 8.00 GB, other allocations: 1.00 GB, max allowed: 9.07 GB)."
    ),
    # github.com/open-edge-platform/physical-ai-studio/issues/440
    "XPU driver": RuntimeError("level_zero backend failed with error: 39 (UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY)"),
    # github.com/intel/torch-xpu-ops/issues/2059, which passes with a batch of 1; memory is a frequent cause, not the only one
    "XPU driver, when a kernel is launched": RuntimeError(
        "UR backend failed. UR backend returns:40 (UR_RESULT_ERROR_OUT_OF_RESOURCES)"
    ),
    "cuBLAS": RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    "cuDNN": RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    # PyTorch, ATen/cuda/Exceptions.h
    "cuSOLVER": RuntimeError("cusolver error: CUSOLVER_STATUS_ALLOC_FAILED, when calling `cusolverDnCreate(handle)`"),
    # github.com/ROCm/TheRock/issues/1708; hipBLAS reports rocblas_status_memory_error as this
    "hipBLAS and rocBLAS": RuntimeError("CUDA error: HIPBLAS_STATUS_ALLOC_FAILED when calling `hipblasCreate(handle)`"),
    # PyTorch, ATen/miopen/Exceptions.h: the name alone, by miopenGetErrorString
    "MIOpen": RuntimeError("miopenStatusAllocFailed"),
    "CPU on Linux and macOS": RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
    "CPU on Windows": RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
    "Python and NumPy": MemoryError("Unable to allocate 9.00 GiB for an array"),
}


def results(call, count, batch, **options):
    return [result for _, result in run_in_batches(call, count, lambda: batch, **options)]


def test_every_allocator_of_the_table_has_an_example():
    assert ERRORS.keys() == SIGNATURES.keys()


@pytest.mark.parametrize("allocator", ERRORS)
def test_every_allocator_is_recognised_and_the_batch_halved(allocator):
    error, sizes = ERRORS[allocator], []

    def call(part):
        sizes.append(part.stop - part.start)
        if sizes[-1] > 1:
            raise error
        return part.start

    assert is_out_of_memory(error)
    assert results(call, 5, 4) == [0, 1, 2, 3, 4]
    assert sizes == [4, 2, 1, 1, 1, 1, 1]


@pytest.mark.parametrize("error", [RuntimeError("shape mismatch"), ValueError("out of memory"), KeyboardInterrupt()])
def test_other_errors_rise_at_once(error):
    calls = []

    def call(part):
        calls.append(part)
        raise error

    with pytest.raises(type(error)):
        results(call, 4, 2)
    assert len(calls) == 1


@pytest.mark.parametrize("allocator", ERRORS)
def test_an_item_that_does_not_fit_alone_raises_the_same_error_with_advice(allocator):
    error, message = ERRORS[allocator], str(ERRORS[allocator])
    unchanged = error.args

    def call(part):
        raise error

    try:
        with pytest.raises(type(error)) as caught:
            results(call, 3, 2)
        assert caught.value is error and is_out_of_memory(error)
        assert str(error) == f"{TOO_LARGE} The device reported: {message}"
    finally:
        error.args = unchanged


def test_batches_around_batches_do_not_retry_an_item_that_does_not_fit_alone():
    """A video stage makes batches around a hosted restorer, which makes its own."""
    sizes = []

    def call(part):
        sizes.append(part.stop - part.start)
        raise torch.cuda.OutOfMemoryError("CUDA out of memory.")

    with pytest.raises(torch.cuda.OutOfMemoryError) as caught:
        BatchLimit(4).run(lambda part: BatchLimit(4).run(call, part.stop - part.start), 8)
    assert sizes == [4, 2, 1]
    assert str(caught.value).count(TOO_LARGE) == 1


def test_a_halved_limit_holds_for_one_execution_and_the_next_starts_full():
    sizes = []

    def call(part):
        sizes.append(part.stop - part.start)
        if sizes[-1] > 2:
            raise MemoryError

    limit = BatchLimit(4)
    limit.run(call, 4)
    limit.run(call, 4)
    assert sizes == [4, 2, 2, 2, 2]
    sizes.clear()
    BatchLimit(4).run(call, 4)
    assert sizes == [4, 2, 2]


def test_tensors_of_a_failed_call_are_released_before_the_next_attempt():
    alive, seen = [], []

    def call(part):
        if alive:
            seen.append(alive[-1]() is not None)
        activations = torch.zeros(16)
        alive.append(weakref.ref(activations))
        if part.stop - part.start > 1:
            raise MemoryError
        return part.start

    assert results(call, 4, 4) == [0, 1, 2, 3]
    assert seen and not any(seen)


def test_cancel_stops_between_parts():
    class Cancelled(Exception):
        pass

    done = []

    def prepare(size):
        if done:
            raise Cancelled

    with pytest.raises(Cancelled):
        results(done.append, 4, 2, prepare=prepare)
    assert done == [slice(0, 2)]


def test_a_bare_network_recovers_without_the_host():
    """As in Python and on the command line: `restore` halves the batch, and the result is that of single faces."""
    sizes = []

    class Small:
        side = 8

        def restore(self, crops, fidelity, match_style):
            sizes.append(len(crops))
            if len(crops) > 2:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
            return crops * 0.5

    crops = torch.rand(5, 3, 8, 8)
    aligned = AlignedFaces(
        faces=(Face(0, (0.0, 0.0, 8.0, 8.0), ((0.0, 0.0),) * 5, 1.0),) * 5,
        originals=crops,
        crops=crops,
        affines=torch.zeros(5, 2, 3),
        masks=torch.ones(5, 1, 8, 8),
        grey=(False,) * 5,
        image_size=(8, 8),
    )
    assert torch.equal(restore(aligned, Small(), batch=4).crops, crops * 0.5)
    assert sizes == [4, 2, 2, 1]
    sizes.clear()
    restore(aligned, Small(), batch=4)
    assert sizes[0] == 4


@pytest.mark.parametrize(("free", "expected"), [(100, 8), (7, 4), (2, 2), (0, 1)])
def test_the_largest_batch_is_what_fits(free, expected):
    assert largest_batch(lambda count: count, free) == expected


def test_the_automatic_batch_is_the_host_s_or_one_on_a_cpu():
    class Hosted:
        batch = 5

    assert automatic_batch(Hosted()) == 5
    assert automatic_batch(torch.nn.Linear(2, 2)) == 1
    assert automatic_batch(object()) == 1


def test_the_free_memory_of_an_xpu_is_asked_for(monkeypatch):
    monkeypatch.setattr(torch.xpu, "mem_get_info", lambda device: (7, 9), raising=False)
    assert free_memory(torch.device("xpu")) == 7


def test_an_xpu_that_does_not_report_its_free_memory_has_none(monkeypatch):
    def refuse(device):
        raise RuntimeError("The device doesn't support querying the available free memory.")

    monkeypatch.setattr(torch.xpu, "mem_get_info", refuse, raising=False)
    assert free_memory(torch.device("xpu")) is None
