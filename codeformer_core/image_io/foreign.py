"""What a file that cannot be read is, by its first bytes, and what to do about it."""

import importlib.util

_CUT_OFF = "It is cut off or damaged: get another copy of the file."

#: How files begin, what they are, and what to do.
_SIGNATURES = (
    (b"\x89PNG", "a PNG image", _CUT_OFF),
    (b"\xff\xd8\xff", "a JPEG image", _CUT_OFF),
    (b"GIF8", "a GIF image", _CUT_OFF),
    (b"BM", "a BMP image", _CUT_OFF),
    (b"\0\0\0\x0cJXL ", "a JPEG XL image", "Save it as PNG."),
    (b"\xff\x0a", "a JPEG XL image", "Save it as PNG."),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 image", "Save it as PNG."),
    (b"8BPS", "a Photoshop document", "Export it as PNG or TIFF."),
    (b"\x76\x2f\x31\x01", "an OpenEXR image", "Save it as TIFF with floats or 16 bits."),
    (b"#?RADIANCE", "a Radiance HDR image", "Save it as TIFF with floats or 16 bits."),
    (b"FUJIFILMCCD-RAW", "a raw photo", "Develop it with a raw converter."),
    (b"%PDF", "a PDF document", "Export its page as PNG."),
    (b"\x1aE\xdf\xa3", "a video", "Use `codeformer video`."),
    (b"PK\x03\x04", "a ZIP archive", "Unpack it."),
)

#: Brands of the ISO base media format (bytes 8 to 12) that are still images; pillow-heif's, Pillow's, and Canon's raw photos.
_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_AVIF = (b"avif", b"avis")


def describe(data: bytes) -> str:
    """A sentence about a file's bytes, without its name: what it is and what to do."""
    if not data:
        return "is empty. Get another copy of the file."
    for signature, kind, do in _SIGNATURES:
        if data.startswith(signature):
            return f"is {kind}. {do}"
    if data.startswith(b"RIFF"):
        return f"is a WebP image. {_CUT_OFF}" if data[8:12] == b"WEBP" else "is a video or a sound. Use `codeformer video`."
    if data[4:8] == b"ftyp":
        return _describe_media(data[8:12])
    if data[:200].lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<"):
        kind = "an SVG drawing" if b"<svg" in data[:1000] else "a web page, not the image that it is named for"
        return f"is {kind}. {'Export it as PNG' if 'SVG' in kind else 'Download the image again'}."
    return "is not an image that can be read (PNG, JPEG, WebP, BMP, TIFF, GIF, TGA, AVIF, HEIC)."


def _describe_media(brand: bytes) -> str:
    if brand in _HEIC:
        if importlib.util.find_spec("pillow_heif"):
            return f"is a HEIC image. {_CUT_OFF}"
        return (
            "is a HEIC image, as phones write them. Install what reads it (pip install pillow-heif), or save it as JPEG or PNG."
        )
    if brand in _AVIF:
        return f"is an AVIF image. {_CUT_OFF} If other programs show it, update Pillow: pip install -U pillow"
    return "is a raw photo. Develop it with a raw converter." if brand == b"crx " else "is a video. Use `codeformer video`."
