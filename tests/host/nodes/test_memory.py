"""How the networks share the machine with the host: memory, Cancel, progress."""

import gc
import sys
import weakref

import pytest
import torch


def crops(count):
    return torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(2))


def parameters(hosted, device):
    """Names of the parameters that lie on a device."""
    return {name for name, value in hosted.network.named_parameters() if value.device.type == device}


def test_the_host_knows_the_network_and_forgets_it_with_the_last_user(pack, tiny_checkpoint):
    import comfy.model_management as mm
    import comfy.model_patcher

    hosted = pack.hosted.HostedRestorer(pack.network(tiny_checkpoint))
    assert comfy.model_patcher.is_model_patcher_output(hosted)
    hosted.restore(crops(1), 0.5)
    assert hosted.patcher in mm.loaded_models()
    patcher = weakref.ref(hosted.patcher)
    del hosted
    gc.collect()
    mm.cleanup_models()
    assert patcher() is None


def test_the_memory_requested_is_the_networks_estimate(pack, restorer, monkeypatch):
    import comfy.model_management as mm

    asked = []
    place = mm.load_models_gpu

    def watch(models, memory_required=0, **options):
        asked.append((memory_required, options["force_full_load"]))
        return place(models, memory_required=memory_required, **options)

    monkeypatch.setattr(mm, "load_models_gpu", watch)
    monkeypatch.setattr(restorer, "most", 2)
    restorer.restore(crops(3), 0.5)
    assert asked == [(restorer.network.memory_used(count, 64, 64), False) for count in (2, 1)]


@pytest.fixture
def execution(pack, monkeypatch):
    """Runs a node's execution of this name, as the host's own code sees it."""
    from comfy_execution.utils import ExecutionContext

    memory = sys.modules[f"{pack.hosted.__package__}.memory"]

    def begin(name):
        context = ExecutionContext(prompt_id=name, node_id="1", list_index=0)
        monkeypatch.setattr(memory, "get_executing_context", lambda: context)

    begin("the first")
    return begin


@pytest.fixture
def one_face_network(pack, tiny_checkpoint):
    """A network on a device that holds one face, and the batch sizes that its encoder got."""
    network = pack.network(tiny_checkpoint)
    sizes = []

    class OneFace(type(network)):
        """The same network on a device that holds one face."""

        def encode_faces(self, crops, fidelity):
            sizes.append(len(crops))
            if len(crops) > 1:
                raise torch.OutOfMemoryError("out of memory")
            return super().encode_faces(crops, fidelity)

        def decode_faces(self, encoded, *args):
            if encoded.faces > 1:
                raise torch.OutOfMemoryError("out of memory")
            return super().decode_faces(encoded, *args)

    network.__class__ = OneFace
    hosted = pack.hosted.HostedRestorer(network)
    hosted.most = 4
    return hosted, sizes


def test_when_memory_runs_out_the_batch_is_halved_until_the_next_execution(one_face_network, restorer, execution):
    hosted, sizes = one_face_network
    assert torch.equal(hosted.restore(crops(5), 0.5), restorer.restore(crops(5), 0.5))
    assert sizes == [4, 2, 1, 1, 1, 1, 1]
    sizes.clear()
    hosted.restore(crops(2), 0.5)
    assert sizes == [1, 1]  # the size that ran out of memory is not tried again in this execution
    sizes.clear()
    execution("the next")
    hosted.restore(crops(2), 0.5)
    assert sizes == [2, 1, 1]


def test_outside_an_execution_the_batch_stays_halved(one_face_network):
    hosted, sizes = one_face_network
    hosted.restore(crops(2), 0.5)
    hosted.restore(crops(2), 0.5)
    assert sizes == [2, 1, 1, 1, 1]


def test_encoding_and_decoding_halve_the_batch_too(one_face_network, restorer):
    hosted, _ = one_face_network
    weights = torch.tensor([0.0, 0.0, 0.5])
    encoded = hosted.encode_faces(crops(3), weights)
    assert torch.allclose(hosted.decode_faces(encoded, weights), restorer.restore(crops(3), weights), atol=1e-4)


@pytest.mark.skipif(not hasattr(torch, "AcceleratorError"), reason="needs a PyTorch that has AcceleratorError")
def test_the_host_cleans_up_after_an_asynchronous_out_of_memory(pack, tiny_checkpoint, monkeypatch):
    """CUDA reports it once more at the next call unless the host discards it, which `is_oom` does."""
    import comfy.model_management as mm

    discarded, network = [], pack.network(tiny_checkpoint)
    monkeypatch.setattr(mm, "discard_cuda_async_error", lambda: discarded.append(True))

    class Small(type(network)):
        """The same network on a device that holds one face, whose driver says so late."""

        def encode_faces(self, crops, fidelity):
            if len(crops) > 1:
                raise torch.AcceleratorError("CUDA error: out of memory")
            return super().encode_faces(crops, fidelity)

    network.__class__ = Small
    hosted = pack.hosted.HostedRestorer(network)
    hosted.most = 2
    assert len(hosted.restore(crops(2), 0.5)) == 2
    assert discarded == [True]


def test_one_face_that_does_not_fit_is_an_error(pack, tiny_checkpoint):
    network = pack.network(tiny_checkpoint)

    class Tiny(type(network)):
        """The same network on a device that holds nothing."""

        def encode_faces(self, crops, fidelity):
            raise torch.OutOfMemoryError("out of memory")

    network.__class__ = Tiny
    with pytest.raises(torch.OutOfMemoryError, match=r"set the precision to balanced or fast.*reported: out of memory"):
        pack.hosted.HostedRestorer(network).restore(crops(2), 0.5)


@pytest.mark.parametrize("kind", ["one per face", "a map per face"])
def test_fidelities_are_split_into_the_same_batches_as_the_faces(pack, restorer, monkeypatch, kind):
    values = torch.tensor([0.0, 0.4, 1.0])
    fidelity = values if kind == "one per face" else values.reshape(3, 1, 1, 1).expand(3, 1, 8, 8)
    monkeypatch.setattr(restorer, "most", 2)
    together = restorer.restore(crops(3), fidelity)
    apart = torch.cat([restorer.restore(crops(3)[row : row + 1], float(values[row])) for row in range(3)])
    assert torch.allclose(together, apart, atol=1e-4)


def test_the_batch_is_what_fits_into_free_memory(pack, restorer, monkeypatch):
    import comfy.model_management as mm

    monkeypatch.setattr(restorer, "most", 8)
    weights = restorer.patcher.model_size() - restorer.patcher.loaded_size()
    for faces, expected in ((100, 8), (7, 4), (2, 2), (0, 1)):
        monkeypatch.setattr(mm, "get_free_memory", lambda device, n=faces: weights + restorer.network.memory_used(n, 64, 64))
        assert restorer.batch == expected


def test_cancel_takes_effect_within_one_face(pack, tiny_checkpoint):
    import comfy.model_management as mm

    network = pack.network(tiny_checkpoint)
    hosted = pack.hosted.HostedRestorer(network)
    reached = []
    network.encoder.register_forward_hook(lambda *_: mm.interrupt_current_processing(True))
    network.generator.blocks[-1].register_forward_hook(lambda *_: reached.append("the end"))
    with pytest.raises(mm.InterruptProcessingException):
        hosted.restore(crops(1), 0.5)
    assert not reached


def test_cancel_takes_effect_within_one_image_of_a_detection(pack, shared, photo):
    import comfy.model_management as mm

    network = pack.network(shared / "data/detectors/detection_mobilenet0.25_Final.pth")
    hosted, reached = pack.hosted.HostedDetector(network), []
    network.body.register_forward_hook(lambda *_: mm.interrupt_current_processing(True))
    network.ClassHead.register_forward_hook(lambda *_: reached.append("the end"))
    network.fpn.register_forward_hook(lambda *_: reached.append("the layer behind"))
    with pytest.raises(mm.InterruptProcessingException):
        hosted.detect(photo("photos/astronaut_1face.png"))
    assert not reached


def test_cancel_takes_effect_between_the_images_of_a_detection(pack, shared, photo):
    import comfy.model_management as mm

    hosted = pack.hosted.HostedDetector(pack.network(shared / "data/detectors/face_detection_yunet_2026may.onnx"))
    image = photo("photos/astronaut_1face.png")
    options = pack.core("faces").DetectionOptions()
    assert [face.image_index for face in hosted.detect(image.repeat(2, 1, 1, 1), options)] == [0, 1]
    mm.interrupt_current_processing(True)
    with pytest.raises(mm.InterruptProcessingException):
        hosted.detect(image, options)


def test_progress_counts_the_faces(pack, restorer, picture, one_face, monkeypatch):
    import comfy.utils

    seen = []
    monkeypatch.setattr(comfy.utils, "PROGRESS_BAR_HOOK", lambda value, total, *_, **__: seen.append((value, total)))
    monkeypatch.setattr(comfy.utils, "PROGRESS_THROTTLE_MIN_INTERVAL", 0)
    faces = pack.run(
        "CodeFormerFaceDetect",
        image=picture,
        detector=one_face,
        choice="all",
    ).result[0]
    pack.run("CodeFormerRestore", faces=faces, model=restorer, fidelity=0.5, match_style=True, grey="auto")
    assert seen == [(0, 2), (1, 2), (2, 2)]


@pytest.fixture
def accelerator(monkeypatch):
    """state -> the host as it would be with an accelerator in that state; torch's meta device stands for the accelerator.

    The host places real weights on it, and a network that runs on it fails if any weight was left behind.
    """
    import comfy.model_management as mm

    def pretend(state, free):
        monkeypatch.setattr(mm, "vram_state", getattr(mm.VRAMState, state))
        monkeypatch.setattr(mm, "get_torch_device", lambda: torch.device("meta"))
        monkeypatch.setattr(mm, "unet_offload_device", lambda: torch.device("cpu"))
        monkeypatch.setattr(
            mm, "get_free_memory", lambda device=None, torch_free_too=False: (free, 0) if torch_free_too else free
        )
        monkeypatch.setattr(mm, "current_loaded_models", [])

    return pretend


GB = 1 << 30


@pytest.mark.parametrize(
    ("state", "free"), [("NORMAL_VRAM", 80 * GB), ("HIGH_VRAM", 80 * GB), ("LOW_VRAM", GB), ("NO_VRAM", GB)]
)
def test_codeformer_runs_wherever_the_host_puts_its_weights(pack, tiny_checkpoint, accelerator, state, free):
    accelerator(state, free)
    hosted = pack.hosted.HostedRestorer(pack.network(tiny_checkpoint))
    assert hosted.device.type == "meta"
    with torch.inference_mode():
        # To meta and not back: there is nothing on it that could be brought back.
        (restored,) = hosted.in_parts(lambda part: hosted.network(crops(1).to("meta") * 2 - 1, 0.5), 1, 64, 64)
    assert restored.device.type == "meta" and restored.shape == (1, 3, 64, 64)
    if state in ("NORMAL_VRAM", "HIGH_VRAM"):
        assert not parameters(hosted, "cpu")
    else:
        assert parameters(hosted, "cpu")


@pytest.mark.parametrize(("state", "free"), [("NORMAL_VRAM", 80 * GB), ("LOW_VRAM", GB)])
def test_the_detector_is_loaded_completely_even_with_little_memory(pack, shared, accelerator, state, free):
    accelerator(state, free)
    network = pack.network(shared / "data/detectors/detection_mobilenet0.25_Final.pth")
    hosted = pack.hosted.HostedDetector(network)
    hosted.in_parts(lambda part: hosted.network(torch.zeros(1, 3, 64, 64, device="meta")), 1, 64, 64)
    assert hosted.device.type == "meta" and not parameters(hosted, "cpu")


def test_the_detector_runs_on_the_cpu_with_novram(pack, shared, accelerator, photo):
    accelerator("NO_VRAM", GB)
    network = pack.network(shared / "data/detectors/detection_mobilenet0.25_Final.pth")
    hosted = pack.hosted.HostedDetector(network)
    faces = hosted.detect(photo("photos/astronaut_1face.png"), pack.core("faces").DetectionOptions())
    assert hosted.device.type == "cpu" and len(faces) == 1 and not parameters(hosted, "meta")
