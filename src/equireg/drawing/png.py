"""Pictures inside a page, as data URIs."""

import base64
import io

from PIL import Image


def png_uri(content: bytes) -> str:
    """Return the bytes of a PNG file as a data URI."""
    return "data:image/png;base64," + base64.b64encode(content).decode()


def picture_uri(picture: Image.Image, **options: object) -> str:
    """Return a picture as a data URI, as small as PNG makes it; ``options`` are those of Pillow's PNG writer."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True, **options)
    return png_uri(buffer.getvalue())
