"""Small folders of pictures with discs on noise, in the ways that people keep them."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

PALETTE = (0, 0, 0, 200, 30, 30, 30, 200, 30)


def disc(size: tuple[int, int] = (40, 32), radius: float = 9.0, at: tuple[float, float] = (20.0, 14.0)) -> np.ndarray:
    """Return a mask [rows, columns], uint8 of 0 and 1; ``size`` and ``at`` are columns and rows."""
    rows, columns = np.mgrid[: size[1], : size[0]]
    return (((columns - at[0]) ** 2 + (rows - at[1]) ** 2) < radius**2).astype(np.uint8)


def photo(mask: np.ndarray, seed: int = 0, *, colour: bool = True) -> np.ndarray:
    """Return a picture in which a mask [rows, columns] is reddish, or brighter in grey."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(90, 12, (*mask.shape, 3))
    noise[..., 0] += 90 * (mask > 0)
    noise[..., 1] += 40 * (mask == 2)
    pixels = np.clip(noise, 1, 255).astype(np.uint8)
    return pixels if colour else pixels[..., 0]


def save(root: Path, name: str, pixels: Any, **options: Any) -> Path:
    """Write pixels, [rows, columns] or with channels last."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix in (".jpg", ".jpeg"):
        options = {"quality": 92, **options}
    Image.fromarray(np.asarray(pixels)).save(path, **options)
    return path


def save_palette(root: Path, name: str, index: np.ndarray, palette: tuple[int, ...] = PALETTE) -> Path:
    """Write a mask of indices with a palette."""
    picture = Image.fromarray(index)
    picture.putpalette(palette)
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)
    return path


def png16(path: Path, pixels: np.ndarray, transparent: int | None = None) -> Path:
    """Write a PNG of 16 bits, [rows, columns] or with 2 (grey and alpha), 3 or 4 channels last.

    Args:
        path: the file.
        pixels: uint16.
        transparent: the grey value that is transparent (tRNS).
    """
    rows, columns = pixels.shape[:2]
    colours = {1: 0, 2: 4, 3: 2, 4: 6}[pixels.size // (rows * columns)]
    more = [] if transparent is None else [(b"tRNS", struct.pack(">H", transparent))]
    return _png(path, (columns, rows, 16, colours, 0, 0, 0), [line.astype(">u2").tobytes() for line in pixels], more)


def grey_png(path: Path, shape: tuple[int, ...], lines: np.ndarray, bits: int) -> Path:
    """Write a grey PNG of rows and columns (``shape``), whose lines are packed to ``bits`` a pixel."""
    return _png(path, (shape[1], shape[0], bits, 0, 0, 0, 0), [line.tobytes() for line in lines], [])


def _png(path: Path, header: tuple[int, ...], lines: list[bytes], more: list[tuple[bytes, bytes]]) -> Path:
    packed = zlib.compress(b"".join(b"\0" + line for line in lines))
    chunks = [(b"IHDR", struct.pack(">2I5B", *header)), *more, (b"IDAT", packed), (b"IEND", b"")]
    whole = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(whole))
    return path


def bmp(path: Path, index: np.ndarray, bits: int, colours: int) -> Path:
    """Write a BMP of ``bits`` a pixel with a grey palette: black and white for two colours, else 0, 1, 2 and so on."""
    grey = (0, 255) if colours == 2 else range(colours)
    palette = b"".join(bytes((value, value, value, 0)) for value in grey)
    places = np.arange(8 - bits, 8)
    lines = [np.packbits(np.unpackbits(line[:, None], axis=1)[:, places]).tobytes() for line in index[::-1]]
    body = b"".join(line + bytes(-len(line) % 4) for line in lines)
    head = struct.pack("<IiiHHIIiiII", 40, index.shape[1], len(index), 1, bits, 0, len(body), 0, 0, colours, 0)
    path.write_bytes(b"BM" + struct.pack("<III", 54 + len(palette) + len(body), 0, 54 + len(palette)))
    with path.open("ab") as file:
        file.write(head + palette + body)
    return path


def tiff(path: Path, pixels: np.ndarray, photometric: int = 1, order: str = "<", **more: int) -> Path:
    """Write a TIFF of any kind of numbers, [rows, columns] or with samples last: in one strip.

    Args:
        path: the file.
        pixels: the numbers.
        photometric: 0 where 0 is white, 1 grey, 2 RGB.
        order: ``<`` little-endian, ``>`` big-endian.
        **more: other tags by their numbers, ``tag_274=6``.
    """
    samples, bits = 1 if pixels.ndim == 2 else pixels.shape[2], 8 * pixels.itemsize
    kind = "?uif".index(pixels.dtype.kind)
    tags = {256: pixels.shape[1], 257: pixels.shape[0], 258: bits, 259: 1, 262: photometric, 273: 0, 277: samples}
    tags |= {278: pixels.shape[0], 279: pixels.nbytes, 339: kind} | ({338: 0} if samples == 2 else {})
    tags |= {int(name.removeprefix("tag_")): value for name, value in more.items()}
    tags[273] = 10 + 12 * len(tags) + 4
    head = struct.pack(order + "2sHIH", b"II" if order == "<" else b"MM", 42, 8, len(tags))
    entries = (struct.pack(order + "HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    content = (pixels if order == "<" else pixels.byteswap()).tobytes()
    path.write_bytes(head + b"".join(entries) + bytes(4) + content)
    return path


def picture_set(root: Path, cases: int = 4, unlabelled: int = 1, *, colour: bool = True) -> Path:
    """Write images/ and masks/ (0 and 255) of pictures of different sizes; the last ones have no mask."""
    for index in range(cases):
        mask = disc((40 + 2 * index, 32 + index), 8 + index % 3, (18 + index % 4, 14.0))
        save(root, f"images/p{index}.png", photo(mask, index, colour=colour))
        if index < cases - unlabelled:
            save(root, f"masks/p{index}.png", mask * np.uint8(255))
    return root


def blank(root: Path, *names: str) -> None:
    """Write pictures for the tests of discovery: masks by their names hold a disc, scans noise."""
    for index, name in enumerate(names):
        mask = disc()
        is_mask = any(
            word in name.lower() for word in ("mask", "seg", "truth", "label", "annot", "class", "gt", "manual")
        )
        save(root, name, mask * np.uint8(255) if is_mask else photo(mask, index))
