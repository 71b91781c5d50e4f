"""Batches fit into memory: sized before a call, halved after an out-of-memory of any device, full again the next time."""

import weakref

import pytest
import torch

from codeformer_core import AlignedFaces, Face, restore
from codeformer_core.runtime.batching import BatchLimit, automatic_batch, largest_batch, run_in_batches
from codeformer_core.runtime.out_of_memory import SIGNATURES, is_out_of_memory

#: As PyTorch, its libraries and Python say it.
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
    "cuBLAS": RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    "cuDNN": RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
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


def test_a_single_item_that_does_not_fit_is_an_error():
    with pytest.raises(MemoryError, match="nothing left"):
        results(lambda part: (_ for _ in ()).throw(MemoryError("nothing left")), 3, 2)


def test_a_limit_holds_for_one_execution_and_the_next_begins_anew():
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


def test_nothing_of_the_failed_call_is_alive_at_the_next_attempt():
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


def test_python_and_the_command_line_recover_too():
    """A bare network, without the host: `restore` halves the batch and the result is that of single faces."""
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
