"""Model files in the host: what the loaders offer, where they look, and what they refuse."""

import os
from pathlib import Path

import pytest
import torch


@pytest.fixture
def models(pack):
    """The host's models folder."""
    import folder_paths

    return Path(folder_paths.models_dir)


def choices(pack, name):
    return next(i for i in pack.nodes[name].define_schema().inputs if i.id == "model_name").options


def put(models, folder, name, source):
    """Lay a model file where the user would; a path to remove it by."""
    path = models / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(source.read_bytes())
    return path


def test_loaders_offer_published_files_that_are_not_on_disk(pack):
    assert choices(pack, "CodeFormerModelLoader")[0] == "codeformer.pth"
    assert "detection_Resnet50_Final.pth" in choices(pack, "CodeFormerFaceDetectorLoader")
    assert "parsing_parsenet.pth" in choices(pack, "CodeFormerFaceParserLoader")


def test_loaders_offer_what_the_user_has_and_not_files_of_another_role(pack, models, tiny_checkpoint):
    laid = [
        put(models, "facerestore_models", "mine/my_faces.pth", tiny_checkpoint),
        put(models, "facedetection", "parsing_parsenet.pth", tiny_checkpoint),
        put(models, "facedetection", "notes.txt", tiny_checkpoint),
    ]
    try:
        assert str(Path("mine", "my_faces.pth")) in choices(pack, "CodeFormerModelLoader")
        detectors = choices(pack, "CodeFormerFaceDetectorLoader")
        assert "parsing_parsenet.pth" not in detectors and "notes.txt" not in detectors
    finally:
        for path in laid:
            path.unlink()


def test_the_detector_that_pip_brings_is_listed_first_and_finds_faces_without_being_fetched(pack, photo):
    combo = next(i for i in pack.nodes["CodeFormerFaceDetectorLoader"].define_schema().inputs if i.id == "model_name")
    assert combo.options[0] == "mtcnn" and "mtcnn" not in combo.as_dict()["missing"]
    (detector,) = pack.run("CodeFormerFaceDetectorLoader", model_name="mtcnn").result
    crew = photo("photos/nasa_sts114_crew_7faces.jpg")
    found = detector.detect(torch.cat([crew, crew]))
    assert [face.image_index for face in found] == [0] * 7 + [1] * 7


def test_the_starter_model_is_offered_and_loads_without_being_fetched(pack, caplog):
    name = "codeformer_starter.safetensors"
    combo = next(i for i in pack.nodes["CodeFormerModelLoader"].define_schema().inputs if i.id == "model_name")
    assert name in combo.options and name not in combo.as_dict()["missing"]
    with caplog.at_level("INFO"):
        (model,) = pack.run("CodeFormerModelLoader", model_name=name).result
    assert (model.network.task, model.side) == ("restoration", 128)
    assert f"{name}: Draws faces of 128 px. Comes with the project: small and limited" in caplog.text
    said = {file: entry["zh"] for file, entry in combo.as_dict()["about"].items()}
    assert "绘制 128 像素的人脸。随节点包提供" in said[name] and said["codeformer.pth"] == "绘制 512 像素的人脸。"


def test_restoreformer_runs_in_the_nodes_and_what_it_cannot_do_is_said(pack, models, restoreformer_checkpoint, photo, caplog):
    path = put(models, "facerestore_models", "RestoreFormer.pth", restoreformer_checkpoint)
    image = photo("photos/astronaut_1face.png").movedim(1, -1)
    try:
        with caplog.at_level("INFO"):
            (model,) = pack.run("CodeFormerModelLoader", model_name="RestoreFormer.pth").result
        (detector,) = pack.run("CodeFormerFaceDetectorLoader", model_name="mtcnn").result
        assert "RestoreFormer.pth is a RestoreFormer: it has no fidelity weight" in caplog.text
        assert not model.casts and model.side == 512  # its layers are not the host's
        faces = pack.run("CodeFormerFaceDetect", image=image, detector=detector).result[0]
        restored = pack.run("CodeFormerRestore", faces=faces, model=model, fidelity=0.5).result[0]
        assert not torch.equal(restored.crops, faces.crops) and restored.crops.isfinite().all()
        fixed, mask = pack.run("CodeFormerFixFaces", image=image, model=model, detector=detector, fidelity=0.5).result[:2]
        assert mask.max() == 1 and torch.equal(fixed[mask == 0], image[mask == 0])
        with pytest.raises(ValueError, match="RestoreFormer without a fidelity weight: choose codeformer.pth"):
            pack.run("CodeFormerFidelitySweep", faces=faces, model=model, fidelities="0, 1", number=1)
        for node, inputs in {"Certainty": {"image": image}, "Colorize": {"keep_luminance": False}}.items():
            with pytest.raises(ValueError, match="RestoreFormer without .* choose codeformer"):
                pack.run(f"CodeFormer{node}", faces=faces, model=model, **inputs)
    finally:
        path.unlink()


@pytest.mark.parametrize("folder", ["facerestore_models", "face_restore", "Codeformer"])
def test_a_file_is_taken_from_where_another_pack_keeps_it(pack, models, tiny_checkpoint, folder):
    path = put(models, folder, "codeformer-v0.1.0.pth", tiny_checkpoint)
    try:
        (model,) = pack.run("CodeFormerModelLoader", model_name="codeformer.pth").result
        assert model.network.task == "restoration" and model.side == 64
    finally:
        path.unlink()


@pytest.mark.parametrize("precision", ["exact", "balanced", "fast"])
def test_the_precision_of_the_loader_is_used_with_the_hosts_layers(pack, models, tiny_checkpoint, precision):
    path = put(models, "facerestore_models", "mine.pth", tiny_checkpoint)
    crops = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    try:
        (model,) = pack.run("CodeFormerModelLoader", model_name="mine.pth", precision=precision).result
        with torch.inference_mode():
            restored, plain = model.restore(crops, 0.5), pack.core("checkpoints").load(path, precision=precision)
        assert torch.allclose(restored, plain.restore(crops, 0.5), atol=1e-5)
        assert model.network.precision == plain.precision
    finally:
        path.unlink()


def test_a_folder_that_the_user_configured_is_read_and_kept(pack, models, tiny_checkpoint, tmp_path):
    import folder_paths

    table = folder_paths.folder_names_and_paths
    before = table.get("facerestore_models")
    # What another pack does when it is imported after this one: it replaces the entry.
    table["facerestore_models"] = ([str(tmp_path)], {".pth"})
    try:
        (tmp_path / "theirs.pth").write_bytes(tiny_checkpoint.read_bytes())
        ours = put(models, "facerestore_models", "ours.pth", tiny_checkpoint)
        assert {"theirs.pth", "ours.pth"} <= set(choices(pack, "CodeFormerModelLoader"))
        paths, suffixes = table["facerestore_models"]
        assert paths[0] == str(tmp_path) and {".pth", ".safetensors"} <= suffixes
        ours.unlink()
    finally:
        table["facerestore_models"] = before


def test_a_file_name_cannot_lead_out_of_the_folders(pack, models, tiny_checkpoint):
    path = put(models, ".", "outside.pth", tiny_checkpoint)
    try:
        for name in ("../outside.pth", str(path), "outside.pth"):
            with pytest.raises(FileNotFoundError, match="choose one of these"):
                pack.run("CodeFormerModelLoader", model_name=name)
    finally:
        path.unlink()


@pytest.mark.parametrize(
    "name", ["codeformer-v0.1.0.pth", "CodeFormer.pth", "codeformer_v0.1.0.pth", "old\\codeformer.pth", "old/codeformer.pth"]
)
def test_a_published_file_is_found_by_the_names_under_which_people_have_it(pack, models, tiny_checkpoint, name):
    loader = pack.nodes["CodeFormerModelLoader"]
    path = put(models, "face_restore", "codeformer.pth", tiny_checkpoint)
    try:
        assert loader.validate_inputs(model_name=name) is True
        assert pack.run("CodeFormerModelLoader", model_name=name).result[0].side == 64
    finally:
        path.unlink()


def test_nodes_without_a_loader_keep_their_models_until_the_file_changes(pack, models, tiny_checkpoint):
    path = put(models, "facerestore_models", "mine.pth", tiny_checkpoint)
    load_once = pack.hosted.load_once
    try:
        first = load_once("restorer", "mine.pth")
        assert load_once("restorer", "mine.pth") is first
        os.utime(path, ns=(0, 0))
        assert load_once("restorer", "mine.pth") is not first
    finally:
        path.unlink()


def test_files_whose_names_differ_only_in_case_are_told_apart(pack, models, tiny_checkpoint):
    paths = [put(models, "facerestore_models", name, tiny_checkpoint) for name in ("mine.pth", "Mine.pth")]
    try:
        locate = pack.hosted.model_files._locate
        assert [locate("restorer", name).name for name in ("mine.pth", "Mine.pth")] == ["mine.pth", "Mine.pth"]
    finally:
        for path in set(paths):
            path.unlink(missing_ok=True)


def test_an_unknown_name_is_refused_before_the_run_without_absolute_folders(pack, models):
    said = pack.nodes["CodeFormerModelLoader"].validate_inputs(model_name="nobody.pth")
    assert "'nobody.pth' is not on disk" in said and str(models) not in said and "models/facerestore_models" in said


def test_a_folder_outside_of_the_hosts_is_shown_by_its_name(pack, tmp_path):
    import folder_paths

    table = folder_paths.folder_names_and_paths
    before = table.get("facerestore_models")
    table["facerestore_models"] = ([str(tmp_path / "disk" / "faces")], {".pth"})
    try:
        assert pack.hosted.model_files.missing("restorer")["codeformer.pth"]["folder"] == "faces"
    finally:
        table["facerestore_models"] = before


def test_a_changed_file_is_loaded_again(pack, models, tiny_checkpoint):
    loader = pack.nodes["CodeFormerModelLoader"]
    path = put(models, "facerestore_models", "mine.pth", tiny_checkpoint)
    try:
        before = loader.fingerprint_inputs(model_name="mine.pth")
        assert loader.fingerprint_inputs(model_name="mine.pth") == before
        path.write_bytes(path.read_bytes() + b"more")
        assert loader.fingerprint_inputs(model_name="mine.pth") != before
    finally:
        path.unlink()


def test_fetching_a_file_does_not_change_its_fingerprint(pack, models, tiny_checkpoint, monkeypatch):
    """The host compares fingerprints before a run: the run that fetched the file must not make the next one compute again."""
    loader, checkpoints = pack.nodes["CodeFormerModelLoader"], pack.core("checkpoints")
    before = loader.fingerprint_inputs(model_name="codeformer.pth")
    arrived = models / "facerestore_models" / "codeformer.pth"

    def arrive(model, folder, tick):  # in the place of a download of 376 MB
        return put(models, "facerestore_models", "codeformer.pth", tiny_checkpoint)

    monkeypatch.setattr(checkpoints, "fetch", arrive)
    try:
        pack.run("CodeFormerModelLoader", model_name="codeformer.pth")
        assert loader.fingerprint_inputs(model_name="codeformer.pth") == before
        arrived.write_bytes(arrived.read_bytes() + b"more")
        assert loader.fingerprint_inputs(model_name="codeformer.pth") != before
    finally:
        arrived.unlink()


def test_a_download_that_failed_tells_what_runs_without_one(pack, models, tiny_checkpoint, monkeypatch):
    def fail(model, folder, tick):
        raise ConnectionError("codeformer.pth could not be fetched.")

    path = put(models, "facerestore_models", "mine.pth", tiny_checkpoint)
    monkeypatch.setattr(pack.core("checkpoints"), "fetch", fail)
    try:
        with pytest.raises(ConnectionError, match="could not be fetched") as error:
            pack.run("CodeFormerModelLoader", model_name="codeformer.pth")
    finally:
        path.unlink()
    said, here = str(error.value).split("\nAlready on this computer: ")
    assert {"codeformer_starter.safetensors", "mine.pth"} <= set(here.rstrip(".").split(", "))
    assert "codeformer.pth" not in here


def test_the_stand_in_for_reactor_offers_the_names_that_its_workflows_have(pack):
    inputs = pack.nodes["CodeFormerOldReActor"].GET_SCHEMA().inputs
    offered = next(entry for entry in inputs if entry.id == "model").options
    assert {"none", "codeformer-v0.1.0.pth", "GFPGANv1.4.onnx", "GPEN-BFR-512.onnx"} <= set(offered)
    assert len(offered) == len(set(offered))


def test_nodes_without_a_loader_keep_their_networks_between_runs(pack, models, tiny_checkpoint):
    path = put(models, "facerestore_models", "mine.pth", tiny_checkpoint)
    try:
        first = pack.hosted.load_once("restorer", "mine.pth")
        assert pack.hosted.load_once("restorer", "mine.pth") is first
        path.write_bytes(path.read_bytes() + b"more")
        assert pack.hosted.load_once("restorer", "mine.pth") is not first
    finally:
        path.unlink()


def test_a_detector_file_in_the_restorer_loader_is_an_error_that_says_what_to_do(pack, models, shared):
    path = put(models, "facerestore_models", "my.pth", shared / "data/detectors/detection_mobilenet0.25_Final.pth")
    try:
        with pytest.raises(ValueError, match=r"my\.pth is a face detector; a face restorer is needed here\. Choose"):
            pack.run("CodeFormerModelLoader", model_name="my.pth")
    finally:
        path.unlink()


def test_a_loader_reports_missing_files_with_size_and_licence(pack, models, tiny_checkpoint):
    def told():
        combo = next(i for i in pack.nodes["CodeFormerModelLoader"].define_schema().inputs if i.id == "model_name")
        return combo.as_dict()["missing"]

    missing = told()["codeformer.pth"]
    assert (
        missing["bytes"] == 376637898
        and missing["licence"] == "S-Lab License 1.0"
        and "Non-commercial" in missing["notice"]["en"]
    )
    assert missing["folder"] == "models/facerestore_models", "every visitor of the server may read it"
    path = put(models, "facerestore_models", "codeformer.pth", tiny_checkpoint)
    try:
        assert "codeformer.pth" not in told() and "codeformer_inpainting.pth" in told()
    finally:
        path.unlink()
