"""Masks: parts of the face from either parser, edges that move by what was asked, limits that paste obeys to the bit."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from facexlib.parsing import bisenet as facexlib_bisenet

from codeformer_core import networks
from codeformer_core.align import FFHQ_TEMPLATE, align, warp_to_crops
from codeformer_core.faces import AlignedFaces, Face
from codeformer_core.imaging.morphology import _blur_torch, _erode_torch, blur, erode, grow_and_feather
from codeformer_core.masks.limits import crop_masks, exclude, restrict_to, restrict_to_parts, with_opacity
from codeformer_core.masks.parsing import FACE_PARTS, PART_CLASSES, parse_faces, parts_mask
from codeformer_core.masks.styles import MASKS
from codeformer_core.networks.parsers import BiSeNet, ParseNet
from codeformer_core.options import FixOptions
from codeformer_core.paste import paste, paste_mask
from codeformer_core.pipeline import Extras, limit_paste_area

# The orders as facexlib's two inference scripts write them.
PARSENET = [
    "background", "skin", "nose", "eye_g", "l_eye", "r_eye", "l_brow", "r_brow", "l_ear", "r_ear",
    "mouth", "u_lip", "l_lip", "hair", "hat", "ear_r", "neck_l", "neck", "cloth",
]  # fmt: skip
BISENET = [
    "background", "skin", "l_brow", "r_brow", "l_eye", "r_eye", "eye_g", "l_ear", "r_ear", "ear_r",
    "nose", "mouth", "u_lip", "l_lip", "neck", "neck_l", "cloth", "hair", "hat",
]  # fmt: skip
MEANT = {
    "skin": {"skin"}, "brows": {"l_brow", "r_brow"}, "eyes": {"l_eye", "r_eye"}, "glasses": {"eye_g"},
    "ears": {"l_ear", "r_ear"}, "earrings": {"ear_r"}, "nose": {"nose"}, "mouth": {"mouth"}, "lips": {"u_lip", "l_lip"},
    "hair": {"hair"}, "hat": {"hat"}, "neck": {"neck"}, "necklace": {"neck_l"}, "cloth": {"cloth"},
}  # fmt: skip

#: A block of 16 x 16 pixels of a class: every class occurs, in no order.
LABELS = torch.randint(0, 19, (3, 1, 32, 32), generator=torch.Generator().manual_seed(5)).repeat_interleave(16, 2)
LABELS = LABELS.repeat_interleave(16, 3)[:, 0]  # (3, 512, 512)


class Drawn:
    """A parser that gives these labels, and remembers how many crops each call brought."""

    def __init__(self, labels: torch.Tensor = LABELS) -> None:
        self.labels, self.calls = labels, []

    def parse(self, crops: torch.Tensor) -> torch.Tensor:
        start = sum(self.calls)
        self.calls.append(len(crops))
        return self.labels[start : start + len(crops)]


class Scores(torch.nn.Module):
    """What stands in for a trained network: sure of these labels, in the order of the network's own classes."""

    def __init__(self, labels: torch.Tensor, order: list[str], heads: int) -> None:
        super().__init__()
        own = torch.tensor([order.index(name) for name in PARSENET])[labels]
        self.scores, self.heads = F.one_hot(own, 19).permute(0, 3, 1, 2).float(), heads

    def forward(self, crops: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (self.scores, *[torch.zeros(1)] * (self.heads - 1))

    encoder = body = decoder = torch.nn.Identity()

    def out_mask_conv(self, features: torch.Tensor) -> torch.Tensor:
        """ParseNet's only head that is asked for."""
        return self.scores


def posed(x: float, y: float, scale: float, image: int = 0) -> Face:
    """A face turned by some degrees, whose crop of 512 has its centre at (x, y) and `scale` pixels of the image a pixel."""
    turn = torch.tensor([[0.97, 0.24], [-0.24, 0.97]], dtype=torch.float64)
    points = (FFHQ_TEMPLATE - 255.5) @ turn * scale + torch.tensor([x, y], dtype=torch.float64)
    return Face(image, (x - 50, y - 50, x + 50, y + 50), tuple((u, v) for u, v in points.tolist()), 0.9)


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    noise = torch.rand(2, 3, 30, 40, generator=torch.Generator().manual_seed(3))
    return F.interpolate(noise, size=(240, 320), mode="bicubic").clamp(0, 1)


@pytest.fixture(scope="module")
def aligned(images) -> AlignedFaces:
    """Three faces with changed crops of 128 pixels; the second reaches beyond its image, the third is in the other image."""
    faces = [posed(90, 120, 0.3), posed(270, 60, 0.35), posed(170, 120, 0.4, image=1)]
    found = align(images, faces, side=128)
    return found.with_crops(1 - found.crops)


# --- parts ----------------------------------------------------------------------------------------------------------------


def test_every_class_but_the_background_is_in_one_part():
    assert sorted(number for numbers in PART_CLASSES.values() for number in numbers) == list(range(1, 19))
    assert {name: {PARSENET[number] for number in numbers} for name, numbers in PART_CLASSES.items()} == MEANT


@pytest.mark.parametrize("groups", [(), ("skin",), ("lips", "hair"), tuple(PART_CLASSES)], ids=str)
def test_a_mask_is_one_in_the_chosen_parts_and_zero_elsewhere(groups):
    wanted = {name for group in groups for name in MEANT[group]}
    expected = torch.tensor([name in wanted for name in PARSENET])[LABELS]
    assert torch.equal(parts_mask(LABELS, groups), expected[:, None].float())


def test_a_mask_of_parts_is_resized_to_the_crops():
    small = parts_mask(LABELS, ["skin", "nose"], side=64)
    assert small.shape == (3, 1, 64, 64)
    assert (small - F.avg_pool2d(parts_mask(LABELS, ["skin", "nose"]), 8)).abs().mean() < 0.05


def test_an_unknown_part_is_named():
    with pytest.raises(ValueError, match="'beard' is no part of a face. Use one or more of: skin, brows, eyes, glasses"):
        parts_mask(LABELS, ["skin", "beard"])


def test_each_crop_is_parsed_once_in_small_batches(aligned):
    many = aligned.subset([0, 1, 2, 0, 1])
    parser = Drawn(torch.cat([LABELS, LABELS[:2]]))
    labels = parse_faces(many, parser, batch=2)
    assert parser.calls == [2, 2, 1]
    assert labels.dtype == torch.uint8 and torch.equal(labels.long(), parser.labels)


def test_the_restored_face_is_parsed(aligned):
    class Seen(Drawn):
        def parse(self, crops):
            self.crops = crops
            return super().parse(crops)

    parser = Seen()
    parse_faces(aligned, parser)
    assert torch.equal(parser.crops, aligned.crops)


# --- parsers --------------------------------------------------------------------------------------------------------------


def test_both_parsers_give_the_same_mask():
    crops = torch.rand(1, 3, 32, 32)
    first, second = ParseNet(), BiSeNet()
    first.network, second.network = Scores(LABELS[:1], PARSENET, 2), Scores(LABELS[:1], BISENET, 3)
    parsed = [parser.parse(crops) for parser in (first, second)]
    assert torch.equal(parsed[0], LABELS[:1])
    for group in PART_CLASSES:
        masks = [parts_mask(labels, [group]) for labels in parsed]
        assert masks[0].any() and torch.equal(*masks)


@pytest.fixture(scope="module")
def bisenet_state() -> dict[str, torch.Tensor]:
    """The layout of the official file, which is not at hand, filled at random."""
    torch.manual_seed(0)
    return facexlib_bisenet.BiSeNet(num_class=19).state_dict()


def test_bisenet_gives_the_labels_that_facexlib_gives(bisenet_state):
    crops = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    parser = networks.load(bisenet_state, name="parsing_bisenet.pth")
    assert isinstance(parser, BiSeNet) and parser.role == "parser"
    reference = facexlib_bisenet.BiSeNet(num_class=19).eval()
    reference.load_state_dict(bisenet_state)
    mean, spread = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    large = F.interpolate(crops, size=(512, 512), mode="bilinear")
    with torch.inference_mode():
        scores = reference((large - mean[:, None, None]) / spread[:, None, None])[0]
    expected = torch.tensor([PARSENET.index(name) for name in BISENET])[scores.argmax(1)]
    labels = parser.parse(crops)
    assert labels.shape == (1, 512, 512) and len(labels.unique()) > 3
    assert (labels == expected).float().mean() > 0.9999  # the last bit of a score may decide a pixel


@pytest.mark.parametrize("change", ["missing", "superfluous", "eleven classes"])
def test_bisenet_loads_strictly(bisenet_state, change):
    state = dict(bisenet_state)
    if change == "missing":
        del state["conv_out32.conv_out.weight"]
    elif change == "superfluous":
        state["conv_out64.conv_out.weight"] = torch.zeros(1)
    else:
        state["conv_out.conv_out.weight"] = state["conv_out.conv_out.weight"][:11]
    with pytest.raises(ValueError, match="parsing_bisenet.pth looks like BiSeNet but does not fit"):
        networks.load(state, name="parsing_bisenet.pth")


# --- edges ----------------------------------------------------------------------------------------------------------------


def block(*, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Two masks of 60 x 80: ones in rows 20 to 39 and columns 30 to 49, and in the left 40 columns."""
    masks = torch.zeros(2, 1, 60, 80, dtype=dtype)
    masks[0, 0, 20:40, 30:50] = 1
    masks[1, 0, :, :40] = 1
    return masks


@pytest.mark.parametrize("grow", [-9, -1, 0, 1, 7])
def test_the_edge_moves_by_the_stated_pixels(grow):
    expected = torch.zeros(2, 1, 60, 80)
    expected[0, 0, 20 - grow : 40 + grow, 30 - grow : 50 + grow] = 1
    expected[1, 0, :, : 40 + grow] = 1  # where the mask reaches the border it stays
    assert torch.equal(grow_and_feather(block(), grow=grow), expected)


@pytest.mark.parametrize("feather", [1, 4, 10])
def test_a_feather_fades_over_the_stated_pixels(feather):
    soft = grow_and_feather(block(), feather=feather)
    row = soft[1, 0, 30]
    assert (row[: 40 - feather] > 1 - 1e-6).all() and (row[40 + feather :] == 0).all()
    assert row[40 - feather] < 1 and row[40 + feather - 1] > 0
    assert (row.diff() <= 1e-6).all() and (row[39] + row[40]).item() == pytest.approx(1, abs=1e-5)
    assert soft.max() <= 1


def test_the_edge_moves_before_it_softens():
    assert torch.equal(
        grow_and_feather(block(), grow=3, feather=4), grow_and_feather(grow_and_feather(block(), grow=3), feather=4)
    )
    assert torch.equal(grow_and_feather(block()), block())


def test_a_negative_feather_is_refused():
    with pytest.raises(ValueError, match="Found a feather of -2 pixels. Expected 0 or more"):
        grow_and_feather(block(), feather=-2)


def test_half_precision_masks_keep_their_type():
    soft = grow_and_feather(block(dtype=torch.half), grow=-2, feather=3)
    assert soft.dtype == torch.half and (soft - grow_and_feather(block(), grow=-2, feather=3)).abs().max() < 1e-3


def test_an_empty_batch_of_masks_stays_empty():
    assert grow_and_feather(torch.zeros(0, 1, 8, 8), grow=2, feather=2).shape == (0, 1, 8, 8)


@pytest.mark.parametrize("size", [1, 2, 5, 8])
def test_opencv_and_torch_erosions_agree(size):
    masks = (torch.rand(2, 1, 50, 60, generator=torch.Generator().manual_seed(0)) > 0.1).float()
    assert torch.equal(erode(masks, size), _erode_torch(masks, [size] * 2))


@pytest.mark.parametrize(("sigma", "radius"), [(0.8, 1), (3.2, 9), (11.0, 50)])
def test_opencv_and_torch_blurs_agree(sigma, radius):
    masks = torch.rand(2, 1, 40, 90, generator=torch.Generator().manual_seed(0))
    assert (blur(masks, sigma, radius) - _blur_torch(masks, [sigma] * 2, [radius] * 2)).abs().max() < 1e-5


# --- styles ---------------------------------------------------------------------------------------------------------------


def test_the_face_style_matches_the_reference(images):
    """The steps of use_parse in face_restoration_helper.py."""
    aligned = align(images, [posed(90, 120, 0.3), posed(170, 120, 0.4, image=1)])
    mask_map = np.array([0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 0, 0, 0], np.float32)
    assert {PARSENET[number] for number in np.flatnonzero(mask_map)} == set().union(*(MEANT[name] for name in FACE_PARTS))
    masks = MASKS["face"].crop_mask(aligned, Drawn())
    for labels, mask in zip(LABELS, masks, strict=False):
        expected = mask_map[labels.numpy()]
        for _ in range(2):
            expected = cv2.GaussianBlur(expected, (101, 101), 11)
        expected[:10], expected[-10:], expected[:, :10], expected[:, -10:] = 0, 0, 0, 0
        assert torch.equal(mask[0], torch.from_numpy(expected))


def test_the_other_styles_call_no_parser(aligned):
    parser = Drawn()
    assert MASKS["square"].crop_mask is None
    box = MASKS["box"].crop_mask(aligned, parser)
    assert box.amax() == 1 and box[..., 0, :].amax() < 0.05 and box[0, 0, 64, 6] == pytest.approx(6.5 / 12.8)
    assert parser.calls == []


# --- limits ---------------------------------------------------------------------------------------------------------------


def test_parts_limit_what_is_pasted(aligned):
    parser = Drawn()
    limited = restrict_to_parts(aligned, ["eyes", "lips"], parser, grow=2, feather=3)
    assert parser.calls == [3]
    assert torch.equal(limited.masks, grow_and_feather(parts_mask(LABELS, ["eyes", "lips"], 128), 2, 3))
    assert torch.equal(restrict_to_parts(limited, ["skin"], Drawn()).masks, limited.masks * parts_mask(LABELS, ["skin"], 128))


def test_the_whole_crop_needs_no_parser(aligned):
    parser = Drawn()
    whole = limit_paste_area(aligned, FixOptions(parts=None, grow=-5, feather=5), Extras(parser=parser))
    assert torch.equal(whole.masks, aligned.masks) and parser.calls == []
    with pytest.raises(ValueError, match="needs a face parser and there is none"):
        restrict_to_parts(aligned, ["skin"], None)


def test_blend_lies_between_the_image_and_the_face(images, aligned):
    apart = aligned.subset([0, 2])  # one in each image: where two overlap, both are blended
    full, _ = paste(images, apart)
    quarter, mask = paste(images, with_opacity(apart, 0.25))
    assert (quarter - torch.lerp(images, full, 0.25)).abs().max() < 1e-3
    assert mask.max() == pytest.approx(0.25, abs=1e-3)
    none, _ = paste(images, with_opacity(aligned, 0))
    assert torch.equal(none, images)


def test_each_face_may_have_its_own_blend(aligned):
    limited = with_opacity(aligned, torch.tensor([0, 0.5, 1]))
    assert limited.masks.amax((1, 2, 3)).tolist() == limited.masks.amin((1, 2, 3)).tolist() == [0, 0.5, 1]


@pytest.mark.parametrize(
    ("blend", "says"),
    [(1.5, "Found a blend of 1.5"), (float("nan"), "Found a blend of nan"), (torch.ones(2), "2 blends for 3")],
)
def test_a_blend_outside_its_range_is_refused(aligned, blend, says):
    with pytest.raises(ValueError, match=says):
        with_opacity(aligned, blend)


def test_limits_accept_an_empty_batch(images):
    empty = align(images, [], side=128)
    parser = Drawn()
    limited = exclude(with_opacity(restrict_to_parts(empty, ["skin"], parser), 0.5), torch.ones(1, 1, 240, 320))
    assert len(limited) == 0 and parser.calls == [] and crop_masks(limited).shape == (0, 1, 128, 128)
    assert not paste_mask(limited, 2).any()


@pytest.fixture(scope="module")
def hand() -> torch.Tensor:
    """A hard mask over both images that crosses every face: stripes in one, a triangle in the other."""
    y, x = torch.meshgrid(torch.arange(240), torch.arange(320), indexing="ij")
    return torch.stack([(x // 7) % 3 == 0, x > y + 40])[:, None].float()


@pytest.mark.parametrize("style", MASKS)
@pytest.mark.parametrize("inside", [False, True])
def test_pixels_that_a_mask_forbids_are_bit_identical(images, aligned, hand, style, inside):
    before = images.clone()
    pasted, changed = paste(images, (restrict_to if inside else exclude)(aligned, hand), style, Drawn())
    forbidden = hand == (0 if inside else 1)
    everywhere = forbidden.expand_as(images)
    assert torch.equal(images, before) and torch.equal(pasted[everywhere], images[everywhere])
    assert not changed[forbidden].any()
    free, free_mask = paste(images, aligned, style, Drawn())
    assert torch.equal(pasted[~everywhere], free[~everywhere]) and torch.equal(changed[~forbidden], free_mask[~forbidden])
    assert (free_mask[forbidden] > 0.5).sum() > 1000  # there was something to keep out


def test_a_soft_mask_blends_the_crop_with_the_image(images, aligned):
    apart = aligned.subset([0, 2])
    full, _ = paste(images, apart)
    mixed, _ = paste(images, exclude(apart, torch.full((1, 1, 240, 320), 0.75)))
    assert (mixed - torch.lerp(images, full, 0.25)).abs().max() < 1e-5


def test_a_mask_of_another_size_is_stretched_over_the_images(images, aligned):
    left = torch.zeros(1, 1, 64, 64)  # as the host's empty mask, whatever the image
    assert torch.equal(paste(images, exclude(aligned, left))[0], paste(images, aligned)[0])
    left[..., :32] = 1
    changed = paste_mask(exclude(aligned, left), 2)
    assert not changed[..., :157].any() and torch.equal(changed[..., 163:], paste_mask(aligned, 2)[..., 163:])


def test_limits_are_combined(images, aligned, hand):
    holes = torch.zeros(1, 1, 60, 80)  # an area of another size, as holes to inpaint may have
    holes[..., 20:40, :] = 1
    both = paste_mask(exclude(restrict_to(aligned, holes), hand), 2)
    assert both.any() and not both[hand == 1].any() and not both[..., :70, :].any()
    twice = paste_mask(exclude(exclude(aligned, hand), 1 - hand), 2)
    assert not twice.any()


def test_too_few_masks_are_refused(aligned):
    third = replace(aligned, faces=tuple(face._replace(image_index=2) for face in aligned.faces))
    with pytest.raises(ValueError, match="Found 2 masks and a face of image 3. Expected one mask, or one for each image"):
        exclude(third, torch.zeros(2, 1, 240, 320))


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (240, 320), (480, 640)])
def test_a_full_mask_of_any_size_is_full_in_every_crop(images, size):
    inside = align(images, [posed(75, 120, 0.2), posed(170, 120, 0.3, image=1)], side=128)
    assert warp_to_crops(torch.ones(1, 1, *size), inside).min() > 1 - 1e-6


def test_each_face_shows_what_limits_it(aligned, hand):
    assert torch.equal(crop_masks(aligned), aligned.masks)
    whole = torch.zeros(2, 1, 240, 320)
    whole[1] = 1  # the whole of the second image is kept
    masks = crop_masks(with_opacity(exclude(aligned, whole), 0.5))
    assert masks[0, 0, 64, 64] == 0.5 and not masks[2].any()
    striped = crop_masks(exclude(aligned, hand))
    assert striped.shape == (3, 1, 128, 128) and 0.2 < 1 - striped[0].mean() < 0.5


@pytest.mark.parametrize("style", MASKS)
@pytest.mark.parametrize("scale", [1, 2])
def test_the_union_is_what_a_paste_covers(images, aligned, hand, style, scale):
    large = F.interpolate(images, scale_factor=scale, mode="bilinear") if scale > 1 else images
    limited = exclude(restrict_to_parts(aligned, ["skin", "hair"], Drawn(), feather=3), hand)
    union = paste_mask(limited, 2, style, Drawn(), size=tuple(large.shape[-2:]))
    assert torch.equal(union, paste(large, limited, style, Drawn())[1]) and union[0].any() and union[1].any()


def test_full_opacity_computes_nothing():
    """The default of every fix: multiplying and checking would wait for a GPU once per image."""
    empty = align(torch.zeros(1, 3, 64, 64), [], 64)
    assert with_opacity(empty, 1.0) is empty and with_opacity(empty, 1) is empty
    with pytest.raises(ValueError, match="Found a blend of 1.5"):
        with_opacity(empty, 1.5)


def filling(side: int) -> AlignedFaces:
    """A face that covers its image of 512 x 512 pixels exactly, with crops of `side` pixels."""
    points = tuple(map(tuple, FFHQ_TEMPLATE.tolist()))
    return align(torch.rand(1, 3, 512, 512), [Face(0, (128, 128, 384, 460), points, 1.0)], side)


@pytest.mark.parametrize("side", [128, 512])
def test_the_oval_takes_the_face_and_leaves_the_corners(side):
    oval = paste_mask(filling(side), 1, "oval")[0, 0]
    for x, y in FFHQ_TEMPLATE.round().int().tolist():
        assert oval[y, x] == 1
    assert oval[:94].max() == 0 and oval[:, :70].max() == 0 and oval[:, 445:].max() == 0 and oval[495:].max() == 0
    assert oval[round(295.7 - 167.8), 256] == pytest.approx(0.5, abs=0.02)  # at the mean contour's top


def test_automatic_blending_is_oval_for_small_crops_only():
    for side, style in ((128, "oval"), (512, "square")):
        aligned = filling(side)
        assert torch.equal(paste_mask(aligned, 1, "auto"), paste_mask(aligned, 1, style))
    restored = filling(512)
    small = restored.with_crops(restored.crops[..., ::4, ::4])  # as a small restorer gives them back
    assert torch.equal(paste_mask(small, 1, "auto"), paste_mask(small, 1, "oval"))
