"""The nodes between Detect Faces and Paste Faces Back: colours, holes, choice, masks, crops, fidelity, certainty."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from .conftest import tiny_network

BOXES = ((10.0, 10.0, 40.0, 40.0), (60.0, 20.0, 110.0, 70.0))
SELECTING = {
    "order": "found",
    "numbers": "",
    "first": 1,
    "count": 0,
    "min_size": 0.0,
    "max_size": 0.0,
    "min_percent": 0.0,
    "max_percent": 0.0,
    "confidence": 0.0,
    "sharpness": 0.0,
    "inside": 0.5,
    "duplicates": False,
}
RESTORING = {"fidelity": 0.5, "match_style": True, "grey": "auto"}
SWEEPING = {"fidelities": "0, 0.5, 1", "number": 1, "match_style": True, "grey": "auto"}


@pytest.fixture
def faces(pack, picture):
    """The two faces of each of two images, in crops of 64 pixels."""
    return align(pack, picture, BOXES)


def align(pack, picture, boxes):
    found = pack.finds(*boxes).detect(picture, None)
    return pack.core("align").align(picture.movedim(-1, 1), found, 64)


@pytest.fixture(scope="module")
def colorizer(pack, tmp_path_factory):
    """A hosted network of the layout of colorization, 64 pixels."""
    return tiny_network(pack, tmp_path_factory, 64)


class Halves:
    """A parser that sees skin in the left half of every crop and hair in the right."""

    def parse(self, crops):
        labels = torch.ones(len(crops), *crops.shape[-2:], dtype=torch.int64)
        labels[:, :, crops.shape[-1] // 2 :] = 13
        return labels


def parts(pack, *chosen):
    settings = {"grow": 0, "feather": 0, "visibility": 1.0, "occlusion_means": "in front of the face"}
    return {**settings, **{name: name in chosen for name in pack.core("masks.parsing").PART_CLASSES}}


def blocked(output):
    """Whether an output keeps the nodes behind it from running."""
    from comfy_execution.graph_utils import ExecutionBlocker

    return isinstance(output, ExecutionBlocker)


def paste(pack, picture, faces, **options):
    """With the small networks of the tests, which would leave most faces of noise as they are."""
    return pack.run("CodeFormerPasteBack", image=picture, faces=faces, mask="auto", **{"always": True, **options}).result


# --- colours and holes ----------------------------------------------------------------------------------------------------


def test_colorize_changes_the_colours_of_every_face(pack, colorizer, picture, faces):
    coloured, crops, _ = pack.run("CodeFormerColorize", faces=faces, model=colorizer, keep_luminance=False).result
    assert len(coloured) == 4 and crops.shape == (4, 64, 64, 3)
    pasted, mask = paste(pack, picture, coloured)
    assert torch.equal(pasted[mask == 0], picture[mask == 0]) and (pasted - picture)[mask > 0.9].abs().mean() > 0.01


def test_colorize_can_keep_the_light(pack, colorizer, picture, faces):
    luminance = pack.core("imaging.colour").luminance
    coloured, _, _ = pack.run("CodeFormerColorize", faces=faces, model=colorizer, keep_luminance=True).result
    pasted, _ = paste(pack, picture, coloured, keep_detail=True)
    difference = luminance(pasted.movedim(-1, 1)) - luminance(picture.movedim(-1, 1))
    assert not torch.equal(pasted, picture) and difference.abs().max() < 0.001


@pytest.mark.parametrize(("node", "file"), [("Colorize", "codeformer_colorization"), ("Inpaint", "codeformer_inpainting")])
def test_a_restoration_checkpoint_is_an_error_that_names_the_right_file(pack, restorer, faces, node, file):
    inputs = {"keep_luminance": True} if node == "Colorize" else {"mask": torch.ones(1, 90, 120)}
    with pytest.raises(ValueError, match=rf"restoration checkpoint .*: choose {file}\.pth"):
        pack.run(f"CodeFormer{node}", faces=faces, model=restorer, **inputs)


@pytest.mark.parametrize("scale", [1, 2, 0.5])
def test_inpaint_fills_the_mask_and_nothing_else(pack, inpainter, picture, faces, scale):
    mask = torch.zeros(90, 120)
    mask[30:50, 70:90] = 1
    sized = torch.nn.functional.interpolate(mask[None, None], scale_factor=scale)[0]
    filled, crops, _ = pack.run("CodeFormerInpaint", faces=faces, model=inpainter, mask=sized).result
    assert len(filled) == 2 and crops.shape == (2, 64, 64, 3)
    pasted, _ = paste(pack, picture, filled)
    outside = torch.ones(2, 90, 120, dtype=torch.bool)
    outside[:, 28:52, 68:92] = False
    assert torch.equal(pasted[outside], picture[outside])
    assert (pasted - picture)[:, 32:48, 72:88].abs().mean() > 0.01


def test_inpaint_finds_white_strokes_when_there_is_no_mask(pack, inpainter, picture, faces):
    painted = picture * 0.9
    painted[1, 25:45, 15:35] = 250 / 255
    filled, _, _ = pack.run("CodeFormerInpaint", faces=faces, model=inpainter, image=painted).result
    assert [(face.image_index, face.box[0]) for face in filled.faces] == [(1, 10.0)]
    strict = pack.run("CodeFormerInpaint", faces=faces, model=inpainter, image=painted, tolerance=0).result[0]
    assert len(strict) == 0


def test_inpaint_without_a_mask_or_an_image_says_what_to_connect(pack, inpainter, faces):
    with pytest.raises(ValueError, match="neither a mask nor an image.*connect a mask"):
        pack.run("CodeFormerInpaint", faces=faces, model=inpainter)


def test_an_empty_mask_fills_nothing(pack, inpainter, picture, faces, caplog):
    with caplog.at_level("INFO"):
        filled, crops, _ = pack.run("CodeFormerInpaint", faces=faces, model=inpainter, mask=torch.zeros(1, 64, 64)).result
    assert len(filled) == 0 and blocked(crops) and "No hole touches a face" in caplog.text
    assert torch.equal(paste(pack, picture, filled)[0], picture)


@pytest.fixture(scope="module")
def lama(pack, lama_checkpoint):
    return load_background(pack, lama_checkpoint, "big-lama.safetensors")


@pytest.fixture(scope="module")
def ddcolor(pack, ddcolor_checkpoint):
    loaded = load_background(pack, ddcolor_checkpoint, "ddcolor_mine.pth")
    loaded.network.side = 64
    return loaded


def load_background(pack, checkpoint, name):
    """What Load Background Model makes of a file in the host's folder."""
    import folder_paths

    path = Path(folder_paths.models_dir, "inpaint", name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(checkpoint)
    try:
        return pack.run("CodeFormerBackgroundLoader", model_name=name).result[0]
    finally:
        path.unlink()


def test_holes_outside_the_faces_are_filled_with_a_background_model(pack, inpainter, lama, picture, faces):
    mask = torch.zeros(1, *picture.shape[1:3])
    mask[:, 80:84, 5:100] = mask[:, 20:25, 20:25] = 1
    wired = {"faces": faces, "model": inpainter, "mask": mask}
    filled, _, image = pack.run("CodeFormerInpaint", **wired, image=picture, background_model=lama).result
    hole = (mask > 0)[..., None].expand_as(picture)
    assert len(filled) >= 2 and image.shape == picture.shape
    assert torch.equal(image[~hole], picture[~hole]) and (image[hole] != picture[hole]).float().mean() > 0.9
    assert torch.equal(paste(pack, image, filled)[0][~hole], picture[~hole])
    assert blocked(pack.run("CodeFormerInpaint", **wired).result[2])
    assert pack.run("CodeFormerInpaint", **wired, image=picture).result[2] is picture


def test_a_background_model_colours_the_whole_image_and_keeps_transparency(pack, colorizer, ddcolor, picture, faces):
    grey = picture.mean(-1, keepdim=True).expand(-1, -1, -1, 3)
    image = torch.cat([grey, torch.rand(*grey.shape[:3], 1)], -1)
    wired = {"faces": faces, "model": colorizer, "keep_luminance": True}
    coloured, _, result = pack.run("CodeFormerColorize", **wired, image=image, background_model=ddcolor).result
    assert torch.equal(result[..., 3], image[..., 3]) and (result[..., 0] > result[..., 2] + 0.02).float().mean() > 0.8
    assert not torch.equal(coloured.crops, pack.run("CodeFormerColorize", **wired).result[0].crops)
    pasted = paste(pack, result, coloured, keep_detail="on")[0]
    assert torch.equal(pasted[:, :5], result[:, :5]) and not torch.equal(pasted, result)


def test_a_background_model_needs_an_image_and_its_own_task(pack, inpainter, colorizer, lama, ddcolor, picture, faces):
    with pytest.raises(ValueError, match="Found a background model and no image.*connect it"):
        pack.run("CodeFormerInpaint", faces=faces, model=inpainter, mask=torch.ones(1, 8, 8), background_model=lama)
    with pytest.raises(ValueError, match="big-lama.safetensors is a LaMa, which is for inpainting. Expected .*: DDColor"):
        pack.run("CodeFormerColorize", faces=faces, model=colorizer, image=picture, background_model=lama)
    with pytest.raises(ValueError, match="is a DDColor, which is for colorization. Expected .*: LaMa, MAT"):
        wired = {"faces": faces, "model": inpainter, "mask": torch.ones(1, 8, 8), "image": picture}
        pack.run("CodeFormerInpaint", **wired, background_model=ddcolor)


def test_fewer_masks_than_images_is_an_error(pack, inpainter, picture):
    three = torch.cat([picture, picture[:1]])
    faces = align(pack, three, BOXES)
    for node, inputs in (
        ("CodeFormerInpaint", {"model": inpainter, "mask": torch.ones(2, 90, 120)}),
        ("CodeFormerFaceMask", {**parts(pack), "occlusion": torch.ones(2, 90, 120)}),
        ("CodeFormerFaceSelect", {**SELECTING, "mask": torch.ones(2, 90, 120)}),
    ):
        with pytest.raises(ValueError, match="one mask"):
            pack.run(node, faces=faces, **inputs)


# --- choice ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({}, [10.0, 60.0]),
        ({"order": "size", "count": 1}, [60.0]),
        ({"order": "size", "numbers": "2"}, [10.0]),
        ({"numbers": "2, 1"}, [10.0, 60.0]),
        ({"first": 2}, [60.0]),
        ({"max_size": 40.0}, [10.0]),
        ({"min_percent": 50.0}, [60.0]),
        ({"confidence": 0.95}, []),
        ({"numbers": "7"}, []),
    ],
    ids=str,
)
def test_select_keeps_the_faces_within_the_limits(pack, faces, options, kept):
    chosen, report, count, _ = pack.run("CodeFormerFaceSelect", faces=faces, **{**SELECTING, **options}).result
    assert [face.box[0] for face in chosen.faces if face.image_index == 0] == kept
    assert count == len(chosen) == 2 * len(kept)
    assert ("Left alone" in report) == (len(kept) < 2)
    rows = [faces.faces.index(face) for face in chosen.faces]
    assert torch.equal(chosen.crops, faces.crops[rows]) and torch.equal(chosen.affines, faces.affines[rows])


def test_select_keeps_faces_inside_a_mask_of_any_size(pack, faces):
    mask = torch.zeros(1, 9, 12)
    mask[:, :, 6:] = 1
    chosen = pack.run("CodeFormerFaceSelect", faces=faces, mask=mask, **SELECTING).result[0]
    assert {face.box[0] for face in chosen.faces} == {60.0}


@pytest.mark.parametrize(
    ("node", "name"),
    [
        ("CodeFormerFaceSelect", "mask"),
        ("CodeFormerFaceMask", "occlusion"),
        ("CodeFormerRestore", "mask"),
        ("CodeFormerBlendFaces", "mask"),
        ("CodeFormerInpaint", "mask"),
    ],
)
def test_a_mask_of_other_proportions_is_stretched_and_that_is_said(pack, faces, restorer, inpainter, caplog, node, name):
    inputs = {
        "CodeFormerFaceSelect": SELECTING,
        "CodeFormerRestore": {"model": restorer, "fidelity": 0.5},
        "CodeFormerFaceMask": parts(pack),
        "CodeFormerBlendFaces": {"second_faces": faces},
        "CodeFormerInpaint": {"model": inpainter},
    }.get(node, {})
    for mask, said in (
        (torch.linspace(0, 1, 9).expand(1, 9, 9), True),
        (torch.zeros(1, 64, 64), False),  # of an image without transparency, as Load Image gives it
        (torch.linspace(0, 1, 12).expand(1, 9, 12), False),
    ):
        caplog.clear()
        with caplog.at_level("INFO"):
            pack.run(node, faces=faces, **inputs, **{name: mask})
        assert ("The mask is 9 x 9 and the image 120 x 90: it is stretched." in caplog.text) == said


def test_select_leaves_sharp_faces_alone(pack):
    noise = torch.rand(1, 3, 300, 600, generator=torch.Generator().manual_seed(1))
    picture = noise
    for _ in range(3):  # as smooth as a Gaussian
        picture = torch.nn.functional.avg_pool2d(picture, 15, 1, 7)
    picture[:, :, :, :300] = noise[:, :, :, :300]  # clear
    picture = picture.movedim(1, -1)
    found = pack.finds((50.0, 50.0, 250.0, 250.0), (350.0, 50.0, 550.0, 250.0)).detect(picture, None)
    faces = pack.core("align").align(picture.movedim(-1, 1), found, 512)
    for inputs in ({"image": picture}, {}):
        chosen, report, _, _ = pack.run(
            "CodeFormerFaceSelect", faces=faces, **{**SELECTING, "sharpness": 0.65}, **inputs
        ).result
        assert [face.box[0] for face in chosen.faces] == [350.0] and "good already" in report


def test_text_that_is_not_a_list_of_numbers_is_an_error(pack, faces):
    for text in ("1, two", "-1", "1.5"):
        with pytest.raises(ValueError, match="Expected numbers separated by commas"):
            pack.run("CodeFormerFaceSelect", faces=faces, **{**SELECTING, "numbers": text})


# --- masks ----------------------------------------------------------------------------------------------------------------


def test_a_face_mask_takes_the_chosen_parts(pack, faces):
    masked, masks, union = pack.run("CodeFormerFaceMask", faces=faces, parser=Halves(), **parts(pack, "skin")).result
    assert masks.shape == (4, 64, 64) and masks[:, :, :31].min() == 1 and masks[:, :, 33:].max() == 0
    assert union.shape == (2, 90, 120) and torch.equal(masked.crops, faces.crops)


def test_without_a_parser_the_whole_crop_is_pasted(pack, faces):
    _, masks, union = pack.run("CodeFormerFaceMask", faces=faces, **parts(pack)).result
    assert masks.min() == 1
    assert torch.equal(union, paste(pack, torch.zeros(2, 90, 120, 3), faces)[1])


def test_what_is_in_front_of_the_face_stays(pack, picture, faces):
    hand = torch.zeros(2, 90, 120)
    hand[0, :, :25] = 1
    settings = {**parts(pack), "occlusion": hand}
    changed = faces.with_crops(1 - faces.crops)
    kept, _, union = pack.run("CodeFormerFaceMask", faces=changed, **settings).result
    only, _, _ = pack.run(
        "CodeFormerFaceMask", faces=changed, **{**settings, "occlusion_means": "where faces may be pasted"}
    ).result
    pasted, mask = paste(pack, picture, kept)
    assert torch.equal(pasted[hand == 1], picture[hand == 1]) and not torch.equal(pasted, picture)
    assert torch.equal(union, mask)
    pasted, _ = paste(pack, picture, only)
    assert torch.equal(pasted[hand == 0], picture[hand == 0]) and not torch.equal(pasted, picture)


def test_visibility_is_an_opacity(pack, picture, faces):
    alone = faces.subset([0, 2])  # the crops of the other two overlap with them
    changed = alone.with_crops(1 - alone.crops)
    pasted, mask = paste(pack, picture, changed)
    half = pack.run("CodeFormerFaceMask", faces=changed, **{**parts(pack), "visibility": 0.5}).result[0]
    difference = paste(pack, picture, half)[0] - (picture + pasted) / 2
    assert difference[mask > 0.9].abs().max() < 1e-5 and (pasted - picture)[mask > 0.9].abs().max() > 0.5


def test_images_without_a_face_get_an_empty_mask(pack, picture):
    none = align(pack, picture, ())
    masked, masks, union = pack.run("CodeFormerFaceMask", faces=none, parser=Halves(), image=picture, **parts(pack)).result
    assert len(masked) == 0 and blocked(masks) and union.shape == (2, 90, 120) and not union.any()


# --- crops ----------------------------------------------------------------------------------------------------------------


def test_faces_to_crops_and_back_is_lossless(pack, picture, faces):
    crops, masks, originals, count = pack.run("CodeFormerFacesToCrops", faces=faces).result
    assert count == 4 and crops.shape == originals.shape == (4, 64, 64, 3) and masks.shape == (4, 64, 64)
    again = pack.run("CodeFormerFacesFromCrops", faces=faces, crops=crops, masks=masks).result[0]
    assert torch.equal(paste(pack, picture, again)[0], paste(pack, picture, faces)[0])


def test_larger_crops_keep_their_detail_in_a_larger_image(pack, picture, faces):
    stripes = (torch.arange(256) // 2 % 2).float().expand(4, 256, 256)[..., None].repeat(1, 1, 1, 3)
    large = torch.zeros(2, 720, 960, 3)
    detail = {}
    for side in (256, 64):
        crops = torch.nn.functional.interpolate(stripes.movedim(-1, 1), size=side, mode="area").movedim(1, -1)
        edited = pack.run("CodeFormerFacesFromCrops", faces=faces, crops=crops).result[0]
        pasted = pack.run("CodeFormerPasteBack", image=large, faces=edited, mask="box", keep_detail="off").result[0]
        detail[side] = pasted.diff(dim=2).abs().mean()
    assert detail[256] > 5 * detail[64]


def test_a_mask_for_all_crops_may_have_any_size(pack, picture, faces):
    black = torch.zeros(1, 200, 200)
    edited = pack.run("CodeFormerFacesFromCrops", faces=faces, crops=torch.rand(4, 32, 32, 3), masks=black).result[0]
    assert torch.equal(paste(pack, picture, edited)[0], picture)


def test_a_mask_for_crops_that_is_no_square_is_stretched_and_that_is_said(pack, faces, caplog):
    with caplog.at_level("INFO"):
        pack.run("CodeFormerFacesFromCrops", faces=faces, crops=torch.rand(4, 32, 32, 3), masks=torch.rand(1, 20, 40))
    assert "The mask is 40 x 20 and the image 32 x 32: it is stretched." in caplog.text


def test_images_of_aligned_faces_are_restored_without_detection(pack, restorer):
    pictures = torch.rand(2, restorer.side, restorer.side, 3)
    faces = pack.run("CodeFormerFacesFromCrops", crops=pictures).result[0]
    _, crops = pack.run("CodeFormerRestore", faces=faces, model=restorer, **RESTORING).result
    published = pack.core("options").FixOptions(always=True, keep_detail="off", colour="as restored")
    expected = pack.core("pipeline").fix_aligned(pictures.movedim(-1, 1), restorer, published).images.movedim(1, -1)
    assert len(faces) == 2 and torch.allclose(crops, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("crops", "masks", "says"),
    [
        (torch.zeros(3, 64, 64, 3), None, "3 crops for 4 faces"),
        (torch.zeros(4, 64, 32, 3), None, "crops of 32 x 64 pixels"),
        (torch.zeros(4, 64, 64, 3), torch.zeros(2, 64, 64), "2 masks for 4 faces"),
    ],
    ids=["count", "not square", "masks"],
)
def test_crops_that_do_not_fit_are_errors_that_say_what_was_expected(pack, faces, crops, masks, says):
    with pytest.raises(ValueError, match=f"{says}.*Expected"):
        pack.run("CodeFormerFacesFromCrops", faces=faces, crops=crops, masks=masks)


# --- faces that would get softer ---------------------------------------------------------------------------------------------


@pytest.fixture
def softener():
    """A restorer of 64 pixels that blurs."""
    blur = torch.nn.AvgPool2d(9, 1, 4, count_include_pad=False)
    return SimpleNamespace(side=64, batch=8, restore=lambda crops, fidelity, match_style: blur(crops))


@pytest.mark.parametrize("scale", [1, 2], ids=["as found", "enlarged"])
@pytest.mark.parametrize("side", [512, 64])
def test_paste_leaves_faces_alone_that_the_restorer_made_softer(pack, picture, softener, caplog, side, scale):
    found = pack.finds(*BOXES).detect(picture, None)
    faces = pack.core("align").align(picture.movedim(-1, 1), found, side)
    restored = pack.run("CodeFormerRestore", faces=faces, model=softener, **RESTORING).result[0]
    image = picture.repeat_interleave(scale, 1).repeat_interleave(scale, 2)
    with caplog.at_level("INFO"):
        pasted, mask = paste(pack, image, restored, keep_detail="off", always=False)
    assert torch.equal(pasted, image) and not mask.any()
    for reason in ("sharper than this model's result", "larger than this model draws (64 px)"):
        assert f"2 faces are {reason}: left as they are." in caplog.text
    always, _ = paste(pack, image, restored, keep_detail="off")
    assert not torch.equal(always, image)


def test_paste_says_which_faces_are_larger_than_the_model_draws(pack, softener, caplog):
    picture = torch.rand(1, 400, 400, 3, generator=torch.Generator().manual_seed(3))
    faces = align(pack, picture, [(60.0, 60.0, 340.0, 340.0)])
    restored = pack.run("CodeFormerRestore", faces=faces, model=softener, **RESTORING).result[0]
    with caplog.at_level("INFO"):
        assert torch.equal(paste(pack, picture, restored, always=False)[0], picture)
    assert "1 face is larger than this model draws (64 px): left as it is." in caplog.text


def test_crops_that_somebody_edited_are_pasted_however_soft(pack, picture, softener, faces):
    restored = pack.run("CodeFormerRestore", faces=faces, model=softener, **RESTORING).result[0]
    edited = pack.run("CodeFormerFacesFromCrops", faces=restored, crops=restored.crops.movedim(1, -1)).result[0]
    assert not torch.equal(paste(pack, picture, edited, always=False)[0], picture)


# --- fidelity and certainty -----------------------------------------------------------------------------------------------


def test_every_face_has_its_own_fidelity(pack, restorer, faces):
    together = pack.run("CodeFormerRestore", faces=faces, model=restorer, **RESTORING, per_face="0, 0.5, 1, 0.2").result[0]
    for row, weight in enumerate((0.0, 0.5, 1.0, 0.2)):
        alone = pack.run(
            "CodeFormerRestore", faces=faces.subset([row]), model=restorer, **{**RESTORING, "fidelity": weight}
        ).result[0]
        assert torch.allclose(together.crops[row], alone.crops[0], atol=1e-5)


def test_a_face_without_a_fidelity_of_its_own_has_the_common_one(pack, restorer, faces):
    texts = ("0, 0.5, 1, 0.5", "0, -, 1 -")
    one, other = (
        pack.run("CodeFormerRestore", faces=faces, model=restorer, **{**RESTORING, "fidelity": 0.5, "per_face": text}).result[0]
        for text in texts
    )
    assert torch.equal(one.crops, other.crops)


def test_a_wrong_number_of_fidelities_is_an_error_with_both_counts(pack, restorer, faces):
    with pytest.raises(ValueError, match="Found 2 fidelities for 4 faces"):
        pack.run("CodeFormerRestore", faces=faces, model=restorer, **RESTORING, per_face="0.1 0.2")
    with pytest.raises(ValueError, match="Found a fidelity of 3"):
        pack.run("CodeFormerRestore", faces=faces, model=restorer, **RESTORING, per_face="3")


@pytest.mark.parametrize(("white", "like"), [(0.0, 0.5), (1.0, 0.9)])
def test_a_painted_fidelity_takes_over_where_the_mask_is_white(pack, restorer, picture, white, like):
    faces = align(pack, picture, [(50.0, 35.0, 70.0, 55.0)])
    mask = torch.full((1, 45, 60), white)
    painted = pack.run("CodeFormerRestore", faces=faces, model=restorer, **RESTORING, painted=0.9, mask=mask).result[0]
    plain = pack.run("CodeFormerRestore", faces=faces, model=restorer, **{**RESTORING, "fidelity": like}).result[0]
    assert torch.allclose(painted.crops, plain.crops, atol=1e-4)


def test_the_sweep_gives_what_restore_gives(pack, restorer, faces):
    labelled, crops = pack.run("CodeFormerFidelitySweep", faces=faces, model=restorer, **{**SWEEPING, "number": 2}).result
    assert labelled.shape == crops.shape == (3, 64, 64, 3)
    for picture, weight in zip(crops, (0.0, 0.5, 1.0), strict=True):
        alone = pack.run(
            "CodeFormerRestore", faces=faces.subset([1]), model=restorer, **{**RESTORING, "fidelity": weight}
        ).result[1]
        assert torch.allclose(picture, alone[0], atol=1e-5)
    assert not torch.equal(labelled[:, -8:], crops[:, -8:]) and torch.equal(labelled[:, :40], crops[:, :40])


def test_the_sweep_encodes_the_face_once(pack, restorer, faces):
    seen = []
    hook = restorer.network.encoder.register_forward_hook(lambda *_: seen.append(1))
    pack.run("CodeFormerFidelitySweep", faces=faces, model=restorer, **{**SWEEPING, "fidelities": "0.1 0.2 0.3 0.4"})
    hook.remove()
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"number": 5}, "face number 5 of 4"),
        ({"fidelities": ""}, "no fidelity to try"),
        ({"fidelities": "0, 2"}, "Found a fidelity of 2"),
        ({"fidelities": "low"}, "Found 'low' in a list of numbers"),
    ],
    ids=str,
)
def test_invalid_sweeps_are_errors_that_say_what_was_found(pack, restorer, faces, options, says):
    with pytest.raises(ValueError, match=says):
        pack.run("CodeFormerFidelitySweep", faces=faces, model=restorer, **{**SWEEPING, **options})


def test_certainty_maps_cover_the_faces_only(pack, restorer, picture, faces):
    invented, heat = pack.run("CodeFormerCertainty", image=picture, faces=faces, model=restorer).result
    covered = paste(pack, picture, faces)[1]
    assert invented.shape == (2, 90, 120) and not invented[covered == 0].any() and 0.5 < invented[covered > 0.9].mean() <= 1
    assert torch.equal(heat[covered == 0], picture[covered == 0])
    red, green = heat[..., 0][covered > 0.9].mean(), heat[..., 1][covered > 0.9].mean()
    assert red > green + 0.2  # random weights are sure of nothing


# --- nothing, and much ----------------------------------------------------------------------------------------------------


def test_two_versions_of_faces_are_blended_by_a_ratio_and_a_mask(pack, restorer, picture, faces):
    low, high = (pack.run("CodeFormerRestore", faces=faces, model=restorer, **RESTORING | {"fidelity": w})[0] for w in (0, 1))
    blended, crops = pack.run("CodeFormerBlendFaces", faces=low, second_faces=high, ratio=0.25).result
    assert torch.allclose(blended.crops, low.crops * 0.75 + high.crops * 0.25, atol=1e-6)
    assert crops.shape == (4, *low.crops.shape[2:], 3)
    black = pack.run("CodeFormerBlendFaces", faces=low, second_faces=high, ratio=1.0, mask=torch.zeros(1, 9, 9))[0]
    assert torch.equal(black.crops, low.crops)
    with pytest.raises(ValueError, match="the same Detect Faces or Select Faces"):
        pack.run("CodeFormerBlendFaces", faces=low, second_faces=high.subset([0]))


def test_every_step_takes_zero_faces(pack, restorer, colorizer, inpainter, picture):
    none = align(pack, picture, ())
    for node, inputs in {
        "CodeFormerRestore": {"model": restorer, **RESTORING, "per_face": "0.1 0.2", "mask": torch.ones(1, 9, 9)},
        "CodeFormerColorize": {"model": colorizer, "keep_luminance": True},
        "CodeFormerBlendFaces": {"second_faces": none, "mask": torch.ones(1, 9, 9)},
        "CodeFormerInpaint": {"model": inpainter, "mask": torch.ones(1, 9, 9)},
        "CodeFormerFaceSelect": {**SELECTING, "sharpness": 0.6, "mask": torch.ones(1, 9, 9)},
        "CodeFormerFaceMask": parts(pack),
    }.items():
        faces = pack.run(node, faces=none, **inputs).result[0]
        assert torch.equal(paste(pack, picture, faces, colour="mean and spread", keep_detail=True)[0], picture), node
    for node, inputs in {
        "CodeFormerFacesToCrops": {},
        "CodeFormerFidelitySweep": {"model": restorer, **SWEEPING},
    }.items():
        assert blocked(pack.run(node, faces=none, **inputs).result[0])
    invented, heat = pack.run("CodeFormerCertainty", image=picture, faces=none, model=restorer).result
    assert not invented.any() and torch.equal(heat, picture)


def test_three_hundred_faces_are_restored_selected_and_pasted(pack):
    boxes = [(x, y, x + 12.0, y + 12.0) for y in range(0, 300, 15) for x in range(0, 225, 15)]
    picture = torch.rand(1, 300, 225, 3)
    faces = align(pack, picture, boxes)
    assert len(faces) == 300
    identity = SimpleNamespace(side=64, batch=8, restore=lambda crops, fidelity, match_style: 1 - crops)
    restored = pack.run("CodeFormerRestore", faces=faces, model=identity, **RESTORING).result[0]
    chosen, report, count, _ = pack.run(
        "CodeFormerFaceSelect",
        faces=restored,
        **SELECTING,
    ).result
    assert count == 300 and "and 280 more" in report
    pasted, mask = paste(pack, picture, chosen)
    assert not torch.equal(pasted, picture) and torch.equal(pasted[mask == 0], picture[mask == 0])
