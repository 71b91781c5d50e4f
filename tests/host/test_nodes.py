"""The nodes in this process: what they offer, what they keep, and how they share the machine with the host."""

import gc
import subprocess
import sys
import weakref
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
IDS = [
    "CodeFormerModelLoader",
    "CodeFormerFaceDetectorLoader",
    "CodeFormerFaceParserLoader",
    "CodeFormerFixFaces",
    "CodeFormerFaceDetect",
    "CodeFormerRestore",
    "CodeFormerPasteBack",
]
DETECTION = {"choice": "all", "side": 640, "confidence": 0.8, "overlap": 0.4, "eye_distance": 5.0}
FIXING = {**DETECTION, "fidelity": 0.5, "upscale": 1.0, "mask": "square", "match_style": True, "grey": "auto"}


class Finds:
    """A detector that knows where the faces are: the same ones in every picture."""

    def __init__(self, pack, *boxes):
        self.pack, self.boxes = pack, boxes

    def detect(self, images, options):
        faces = self.pack.core("faces")
        found = []
        for index in range(len(images)):
            for x0, y0, x1, y1 in self.boxes:
                at = [(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)]
                landmarks = tuple((x0 + u * (x1 - x0), y0 + v * (y1 - y0)) for u, v in at)
                found.append(faces.Face(index, (x0, y0, x1, y1), landmarks, 0.9))
        return found


def run(pack, name, **inputs):
    """The outputs of a node, run as the host runs it."""
    with torch.inference_mode():
        return pack.nodes[name].PREPARE_CLASS_CLONE(None).execute(**inputs)


@pytest.fixture(scope="module")
def restorer(pack, tiny_checkpoint):
    """A hosted CodeFormer of 64 pixels."""
    return pack.host.HostedRestorer(pack.core("checkpoints").load(tiny_checkpoint, manual_cast()))


def manual_cast():
    import comfy.ops

    return comfy.ops.manual_cast


@pytest.fixture(autouse=True)
def uninterrupted(request):
    """No test leaves a Cancel behind."""
    yield
    if "comfy.model_management" in sys.modules:
        sys.modules["comfy.model_management"].interrupt_current_processing(False)


@pytest.fixture
def picture():
    """Two pictures (2, 90, 120, 3)."""
    return torch.rand(2, 90, 120, 3, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def one_face(pack):
    """A detector that finds a face of 40 pixels."""
    return Finds(pack, (30.0, 20.0, 70.0, 60.0))


# --- what the nodes offer -------------------------------------------------------------------------------------------------


def test_the_pack_has_these_nodes(pack):
    assert list(pack.nodes) == IDS


@pytest.mark.parametrize("name", IDS)
def test_every_socket_explains_itself(pack, name):
    schema = pack.nodes[name].GET_SCHEMA()
    schema.validate()
    assert schema.category == "image/face" and schema.display_name and schema.description and schema.search_aliases
    for socket in [*schema.inputs, *schema.outputs]:
        assert socket.tooltip and socket.tooltip[0].isupper() | socket.tooltip[0].isdigit(), socket.id
        assert socket.tooltip.endswith("."), socket.id


def test_importing_the_pack_adds_little_to_the_host(pack):
    assert pack.seconds < 1.0


def test_importing_the_pack_without_the_host_does_nothing(tmp_path):
    code = (
        "import importlib.util as u, sys\n"
        f"spec = u.spec_from_file_location('pack', {str(ROOT / '__init__.py')!r}, submodule_search_locations=[{str(ROOT)!r}])\n"
        "module = u.module_from_spec(spec); sys.modules['pack'] = module; spec.loader.exec_module(module)\n"
        "loaded = [name for name in sys.modules if name.startswith('pack.') or name == 'torch']\n"
        "print(loaded, hasattr(module, 'comfy_entrypoint'))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", "False"]


# --- model files ----------------------------------------------------------------------------------------------------------


def choices(pack, name):
    return next(i for i in pack.nodes[name].define_schema().inputs if i.id == "model_name").options


def put(pack, folder, name, source):
    """Lay a model file where the user would; a path to remove it by."""
    path = pack.models / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(source.read_bytes())
    return path


def test_loaders_offer_published_files_that_are_not_on_disk(pack):
    assert choices(pack, "CodeFormerModelLoader")[0] == "codeformer.pth"
    assert "detection_Resnet50_Final.pth" in choices(pack, "CodeFormerFaceDetectorLoader")
    assert choices(pack, "CodeFormerFaceParserLoader") == ["parsing_parsenet.pth"]


def test_loaders_offer_what_the_user_has_and_not_files_of_another_role(pack, tiny_checkpoint):
    laid = [
        put(pack, "facerestore_models", "mine/my_faces.pth", tiny_checkpoint),
        put(pack, "facedetection", "parsing_parsenet.pth", tiny_checkpoint),
        put(pack, "facedetection", "notes.txt", tiny_checkpoint),
    ]
    try:
        assert str(Path("mine", "my_faces.pth")) in choices(pack, "CodeFormerModelLoader")
        detectors = choices(pack, "CodeFormerFaceDetectorLoader")
        assert "parsing_parsenet.pth" not in detectors and "notes.txt" not in detectors
    finally:
        for path in laid:
            path.unlink()


@pytest.mark.parametrize("folder", ["facerestore_models", "face_restore", "Codeformer"])
def test_a_file_is_taken_from_where_another_pack_keeps_it(pack, tiny_checkpoint, folder):
    path = put(pack, folder, "codeformer-v0.1.0.pth", tiny_checkpoint)
    try:
        (model,) = run(pack, "CodeFormerModelLoader", model_name="codeformer.pth").result
        assert model.task == "restoration" and model.side == 64
    finally:
        path.unlink()


def test_a_folder_that_the_user_configured_is_read_and_kept(pack, tiny_checkpoint, tmp_path):
    import folder_paths

    table = folder_paths.folder_names_and_paths
    before = table.get("facerestore_models")
    # What another pack does when it is imported after this one: it replaces the entry.
    table["facerestore_models"] = ([str(tmp_path)], {".pth"})
    try:
        (tmp_path / "theirs.pth").write_bytes(tiny_checkpoint.read_bytes())
        ours = put(pack, "facerestore_models", "ours.pth", tiny_checkpoint)
        assert {"theirs.pth", "ours.pth"} <= set(choices(pack, "CodeFormerModelLoader"))
        paths, suffixes = table["facerestore_models"]
        assert paths[0] == str(tmp_path) and {".pth", ".safetensors"} <= suffixes
        ours.unlink()
    finally:
        table["facerestore_models"] = before


def test_a_file_name_cannot_lead_out_of_the_folders(pack, tiny_checkpoint):
    path = put(pack, ".", "outside.pth", tiny_checkpoint)
    try:
        for name in ("../outside.pth", str(path), "outside.pth"):
            with pytest.raises(FileNotFoundError, match="choose one of these"):
                run(pack, "CodeFormerModelLoader", model_name=name)
    finally:
        path.unlink()


def test_a_changed_file_is_loaded_again(pack, tiny_checkpoint):
    loader = pack.nodes["CodeFormerModelLoader"]
    path = put(pack, "facerestore_models", "mine.pth", tiny_checkpoint)
    try:
        before = loader.fingerprint_inputs(model_name="mine.pth")
        assert loader.fingerprint_inputs(model_name="mine.pth") == before
        path.write_bytes(path.read_bytes() + b"more")
        assert loader.fingerprint_inputs(model_name="mine.pth") != before
    finally:
        path.unlink()


def test_a_detector_in_the_place_of_a_restorer_is_refused_in_a_sentence(pack, shared):
    path = put(pack, "facerestore_models", "my.pth", shared / "data/detectors/detection_mobilenet0.25_Final.pth")
    try:
        with pytest.raises(ValueError, match=r"my\.pth is a face detector; a face restorer is needed here\. Choose"):
            run(pack, "CodeFormerModelLoader", model_name="my.pth")
    finally:
        path.unlink()


def test_the_colorization_network_is_refused_by_restore_in_a_sentence(pack, tmp_path, picture, one_face):
    from codeformer_core.networks.codeformer import CodeFormer, join_attention
    from codeformer_core.networks.vqgan import Architecture

    layout = Architecture((32, 32, 32, 32), 1, (3,), 64, 32, 16, 64, 1, fuse_sides=(32,))
    torch.save(join_attention(CodeFormer(layout).state_dict()), tmp_path / "other.pth")
    other = pack.host.HostedRestorer(pack.core("checkpoints").load(tmp_path / "other.pth", manual_cast()))
    with pytest.raises(ValueError, match=r"colorization checkpoint .* choose codeformer\.pth"):
        run(pack, "CodeFormerFixFaces", image=picture, model=other, detector=one_face, **FIXING)


# --- pictures -------------------------------------------------------------------------------------------------------------


def test_without_a_face_the_picture_comes_back_as_it_is(pack, restorer, picture, caplog):
    picture = picture * 1.5 - 0.2  # values beyond white and black are the user's too
    with caplog.at_level("INFO"):
        fixed, mask, faces, count = run(
            pack, "CodeFormerFixFaces", image=picture, model=restorer, detector=Finds(pack), **FIXING
        ).result
    assert torch.equal(fixed, picture) and count == 0 and len(faces) == 0
    assert mask.shape == (2, 90, 120) and not mask.any()
    assert "No face found" in caplog.text


def test_step_by_step_without_a_face(pack, restorer, picture):
    from comfy_execution.graph_utils import ExecutionBlocker

    faces, boxes, count, _ = run(pack, "CodeFormerFaceDetect", image=picture, detector=Finds(pack), **DETECTION).result
    assert boxes == [[], []] and count == 0
    options = {"fidelity": 0.5, "match_style": True, "grey": "auto"}
    restored, crops = run(pack, "CodeFormerRestore", faces=faces, model=restorer, **options).result
    assert isinstance(crops, ExecutionBlocker)
    pasted, _ = run(pack, "CodeFormerPasteBack", image=picture, faces=restored, mask="square").result
    assert torch.equal(pasted, picture)


def test_only_the_face_changes_and_the_input_not_at_all(pack, restorer, picture, one_face):
    before = picture.clone()
    fixed, mask, faces, count = run(
        pack, "CodeFormerFixFaces", image=picture, model=restorer, detector=one_face, **FIXING
    ).result
    assert torch.equal(picture, before)
    assert count == len(faces) == 2 and fixed.shape == picture.shape
    assert torch.equal(fixed[mask == 0], before[mask == 0])
    assert (fixed - before)[mask > 0.9].abs().mean() > 0.01
    assert fixed.is_contiguous() and float(mask.min()) >= 0 and float(mask.max()) <= 1


def test_a_detected_face_goes_out_in_the_hosts_shape(pack, picture, one_face):
    before = picture.clone()
    output = run(pack, "CodeFormerFaceDetect", image=picture, detector=one_face, **DETECTION)
    faces, boxes, count, preview = output.result
    expected = {"x": 30.0, "y": 20.0, "width": 40.0, "height": 40.0, "label": "face", "score": 0.9}
    assert boxes == [[expected], [expected]] and count == 2 and len(faces) == 2
    assert preview.shape == picture.shape and not torch.equal(preview, picture) and torch.equal(picture, before)
    assert len(output.ui.as_dict()["images"]) == 2


@pytest.mark.parametrize("upscale", [1.0, 2.0])
def test_transparency_is_kept(pack, restorer, picture, one_face, upscale):
    alpha = torch.linspace(0, 1, 120).expand(2, 90, 120)[..., None]
    options = {**FIXING, "upscale": upscale}
    rgba = torch.cat([picture, alpha], dim=-1)
    fixed = run(pack, "CodeFormerFixFaces", image=rgba, model=restorer, detector=one_face, **options).result[0]
    assert fixed.shape == (2, 90 * upscale, 120 * upscale, 4)
    if upscale == 1.0:
        assert torch.equal(fixed[..., 3:], alpha)
    else:
        assert (fixed[:, ::2, ::2, 3] - alpha[..., 0]).abs().max() < 0.01


def test_half_precision_in_and_out(pack, restorer, picture, one_face, monkeypatch):
    from comfy.cli_args import args

    monkeypatch.setattr(args, "fp16_intermediates", True)
    half = picture.half()
    fixed, mask, _, _ = run(pack, "CodeFormerFixFaces", image=half, model=restorer, detector=one_face, **FIXING).result
    assert fixed.dtype == mask.dtype == torch.float16
    assert torch.equal(fixed[mask == 0], half[mask == 0])


def test_the_larger_picture_of_an_upscaler_can_be_pasted_into(pack, restorer, picture, one_face):
    faces = run(pack, "CodeFormerFaceDetect", image=picture, detector=one_face, **DETECTION).result[0]
    larger = torch.rand(2, 180, 240, 3)
    pasted, mask = run(pack, "CodeFormerPasteBack", image=larger, faces=faces, mask="box").result
    assert pasted.shape == larger.shape and mask.shape == (2, 180, 240)
    assert torch.equal(pasted[mask == 0], larger[mask == 0]) and not torch.equal(pasted, larger)


def test_the_blend_that_needs_a_parser_says_so(pack, restorer, picture, one_face):
    with pytest.raises(ValueError, match="parser"):
        run(pack, "CodeFormerFixFaces", image=picture, model=restorer, detector=one_face, **{**FIXING, "mask": "face"})


def test_the_real_detector_finds_the_astronaut(pack, mobilenet, shared, photo):
    network = pack.core("checkpoints").load(shared / "data/detectors/detection_mobilenet0.25_Final.pth", manual_cast())
    detector = pack.host.HostedDetector(network)
    image = photo("photos/astronaut_1face.png").movedim(1, -1).repeat(3, 1, 1, 1)
    faces, boxes, count, _ = run(pack, "CodeFormerFaceDetect", image=image, detector=detector, **DETECTION).result
    assert count == 3 and [len(frame) for frame in boxes] == [1, 1, 1]
    (expected,) = mobilenet.detect(photo("photos/astronaut_1face.png"))
    assert [face.image_index for face in faces.faces] == [0, 1, 2]
    for face in faces.faces:
        assert face.box == pytest.approx(expected.box, abs=0.01)


# --- sharing the machine --------------------------------------------------------------------------------------------------


def crops(count):
    return torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(2))


def parameters(hosted, device):
    """Names of the parameters that lie on a device."""
    return {name for name, value in hosted.network.named_parameters() if value.device.type == device}


def test_the_host_knows_the_network_and_forgets_it_with_the_last_user(pack, tiny_checkpoint):
    import comfy.model_management as mm
    import comfy.model_patcher

    hosted = pack.host.HostedRestorer(pack.core("checkpoints").load(tiny_checkpoint, manual_cast()))
    assert comfy.model_patcher.is_model_patcher_output(hosted)
    hosted.restore(crops(1), 0.5)
    assert hosted.patcher in mm.loaded_models()
    patcher = weakref.ref(hosted.patcher)
    del hosted
    gc.collect()
    mm.cleanup_models()
    assert patcher() is None


def test_the_memory_that_is_asked_for_is_what_the_network_says(pack, restorer, monkeypatch):
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


def test_when_memory_runs_out_the_batch_is_halved_and_stays_so(pack, tiny_checkpoint):
    network = pack.core("checkpoints").load(tiny_checkpoint, manual_cast())
    sizes = []

    class Small(type(network)):
        """The same network on a device that holds one face."""

        def forward(self, x, *args, **options):
            sizes.append(len(x))
            if len(x) > 1:
                raise torch.OutOfMemoryError("out of memory")
            return super().forward(x, *args, **options)

    whole = pack.host.HostedRestorer(network).restore(crops(5), 0.5)
    network.__class__ = Small
    hosted = pack.host.HostedRestorer(network)
    hosted.most = 4
    restored = hosted.restore(crops(5), 0.5)
    assert sizes == [4, 2, 1, 1, 1, 1, 1] and hosted.most == hosted.batch == 1
    assert torch.equal(restored, whole)


def test_one_face_that_does_not_fit_is_an_error(pack, tiny_checkpoint):
    network = pack.core("checkpoints").load(tiny_checkpoint, manual_cast())

    class Tiny(type(network)):
        """The same network on a device that holds nothing."""

        def forward(self, x, *args, **options):
            raise torch.OutOfMemoryError("out of memory")

    network.__class__ = Tiny
    with pytest.raises(torch.OutOfMemoryError):
        pack.host.HostedRestorer(network).restore(crops(2), 0.5)


@pytest.mark.parametrize("kind", ["one per face", "a map per face"])
def test_fidelity_is_cut_with_the_faces(pack, restorer, monkeypatch, kind):
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

    network = pack.core("checkpoints").load(tiny_checkpoint, manual_cast())
    hosted = pack.host.HostedRestorer(network)
    reached = []
    network.encoder.register_forward_hook(lambda *_: mm.interrupt_current_processing(True))
    network.generator.blocks[-1].register_forward_hook(lambda *_: reached.append("the end"))
    with pytest.raises(mm.InterruptProcessingException):
        hosted.restore(crops(1), 0.5)
    assert not reached


def test_cancel_takes_effect_between_the_pictures_of_a_detection(pack, shared, photo):
    import comfy.model_management as mm

    hosted = pack.host.HostedDetector(
        pack.core("checkpoints").load(shared / "data/detectors/face_detection_yunet_2026may.onnx")
    )
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
    run(pack, "CodeFormerFixFaces", image=picture, model=restorer, detector=one_face, **FIXING)
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
    hosted = pack.host.HostedRestorer(pack.core("checkpoints").load(tiny_checkpoint, manual_cast()))
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
def test_the_detector_is_placed_whole_however_little_memory_there_is(pack, shared, accelerator, state, free):
    accelerator(state, free)
    network = pack.core("checkpoints").load(shared / "data/detectors/detection_mobilenet0.25_Final.pth", manual_cast())
    hosted = pack.host.HostedDetector(network)
    hosted.in_parts(lambda part: hosted.network(torch.zeros(1, 3, 64, 64, device="meta")), 1, 64, 64)
    assert hosted.device.type == "meta" and not parameters(hosted, "cpu")


def test_the_detector_runs_on_the_processor_where_the_host_never_moves_weights(pack, shared, accelerator, photo):
    accelerator("NO_VRAM", GB)
    network = pack.core("checkpoints").load(shared / "data/detectors/detection_mobilenet0.25_Final.pth", manual_cast())
    hosted = pack.host.HostedDetector(network)
    faces = hosted.detect(photo("photos/astronaut_1face.png"), pack.core("faces").DetectionOptions())
    assert hosted.device.type == "cpu" and len(faces) == 1 and not parameters(hosted, "meta")
