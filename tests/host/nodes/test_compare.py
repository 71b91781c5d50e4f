"""What the before/after slider gets: pairs of small files, for any two images, and the places of the faces."""

from pathlib import Path

import pytest
import torch
from PIL import Image


def opened(file):
    import folder_paths

    return Image.open(Path(folder_paths.get_temp_directory(), file["filename"]))


@pytest.mark.parametrize("channels", [3, 4])
def test_any_two_images_become_pairs_of_files(pack, channels):
    before, after = torch.zeros(2, 30, 40, channels), torch.ones(2, 60, 80, 3)
    pairs = pack.run("CodeFormerCompare", before=before, after=after).ui["codeformer_compare"]
    assert [(opened(pair["before"]).size, opened(pair["after"]).size) for pair in pairs] == [((40, 30), (80, 60))] * 2
    assert opened(pairs[0]["before"]).getextrema()[0] == (0, 0) and opened(pairs[0]["after"]).getextrema()[0] == (255, 255)


def test_of_a_long_batch_the_first_images_are_shown_and_large_ones_are_shrunk(pack):
    images = torch.rand(20, 2, 3000, 3)
    pairs = pack.run("CodeFormerCompare", before=images, after=images[:18]).ui["codeformer_compare"]
    assert len(pairs) == 16 and opened(pairs[0]["after"]).size == (2048, 1)


def test_fix_faces_sends_the_places_of_its_faces(pack, restorer, picture, one_face):
    output = pack.run("CodeFormerFixFaces", image=picture, model=restorer, detector=one_face, mask="square", always=True)
    pairs = output.ui["codeformer_compare"]
    assert len(pairs) == len(picture) and all(len(pair["faces"]) == 1 for pair in pairs)
    assert all(0 <= share <= 1 for place in pairs[0]["faces"] for share in place)


def test_without_a_face_restore_has_nothing_to_compare(pack, restorer, picture):
    none = pack.core("align").align(picture.movedim(-1, 1), [], restorer.side)
    assert pack.run("CodeFormerRestore", faces=none, model=restorer).ui == {"codeformer_compare": []}
