"""What equireg does to every scan before a network sees it, and the way back: files, geometry, intensities, in numpy.

``facts`` is the content of model.json.
"""

import sys

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.openers import ImageOpener
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError


def read(files, facts):
    """Return a scan [C, X, Y, Z] float32, its affine, and the first of its files; a file holds one channel or all."""
    scans = [opened(file, facts) for file in files]
    voxels = [np.asarray(scan.dataobj, dtype=np.float32) for scan in scans]
    parts = [array.reshape(*(*array.shape, 1)[:3], -1) for array in voxels]  # [X, Y, Z, C]; two axes are a slice
    count = sum(part.shape[3] for part in parts)
    if count != len(facts["channels"]):
        named = " and ".join(str(file) for file in files)
        sys.exit(f"{named}: got {count} channels; expected {', '.join(facts['channels'])}.")
    shape = parts[0].shape[:3]
    affine = place(scans[0].header, shape, facts)
    for index, file in enumerate(files[1:], start=1):
        parts[index] = along(parts[index], forms(scans[index].header)[0], shape, affine, file)
    image = np.concatenate([np.moveaxis(part, -1, 0) for part in parts])
    check(image, files, facts)
    return image, affine, scans[0]


def holds_all(file, facts):
    """Return whether a file holds all channels by itself, as far as its header can be read."""
    try:
        shape = opened(file, facts).shape
    except (OSError, EOFError, ValueError, ImageFileError, HeaderDataError, WrapStructError):
        return False  # whoever reads the scan says so
    return len(shape) > 3 and np.prod(shape[3:]) == len(facts["channels"])


def along(part, own, shape, affine, file):
    """Turn a further file [X, Y, Z, C] to the axes of the first; stop where it lies elsewhere."""
    way, found = nib.io_orientation(np.linalg.inv(affine) @ own), part.shape[:3]
    off_mm = np.inf
    if not np.isnan(way).any():
        own = own @ nib.orientations.inv_ornt_aff(way, found)
        part = nib.apply_orientation(part, way)
        corners = np.argwhere(np.ones((2, 2, 2))) * (np.array(shape) - 1)
        apart = corners @ (own - affine)[:3, :3].T + (own - affine)[:3, 3]
        off_mm = np.linalg.norm(apart, axis=1).max()
    side = np.linalg.norm(affine[:3, :3], axis=0).min()
    if part.shape[:3] != shape or off_mm >= max(side / 4, min(0.02, 2 * side)):
        sys.exit(
            f"{file}: has {found} voxels, and corners up to {off_mm:.4g} mm beside those of the first file; expected "
            f"{shape} in the same place, to a quarter of a voxel. Resample it to the first file."
        )
    return part


def check(image, files, facts):
    """Stop where a channel holds what is no number, or no scan."""
    constant = [channel.min() == channel.max() for channel in image]
    for index, channel in enumerate(image):
        named = f"{files[min(index, len(files) - 1)]}: the channel {facts['channels'][index]}"
        if not np.isfinite(channel).all():
            sys.exit(f"{named} has voxels that are NaN or infinite. Replace them, such as by the background's value.")
        if all(constant):
            sys.exit(f"{named} is empty, every voxel is {channel.flat[0]:g}; expected a scan.")
        if constant[index] and "pixel_mm" not in facts:  # a picture without any blue is one
            print(f"{named} is empty, every voxel is {channel.flat[0]:g}; it is used beside others.", file=sys.stderr)


def opened(file, facts):
    """Open a NIfTI file, or a picture as a slice whose left is the patient's right and whose top is anterior."""
    if str(file).lower().endswith((".nii", ".nii.gz")):
        kind = nib.Nifti2Image if nib.Nifti2Image.path_maybe_image(file)[0] else nib.Nifti1Image
        with ImageOpener(file) as raw:  # as it is: nibabel mends headers of what it loads
            signed = np.asarray(kind.header_class.from_fileobj(raw, check=False)["pixdim"][1:4], dtype=np.float32)
        if (signed < 0).any():
            sys.exit(f"{file}: has a negative voxel size in its header ({signed}). Save it again with one affine.")
        return kind.load(file)
    from PIL import Image, ImageOps

    source = Image.open(file)
    picture = ImageOps.exif_transpose(source)
    if picture.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in picture.info:
        sys.exit(f"{file}: may be transparent; save it without transparency (alpha).")
    grey = picture.mode in ("1", "L", "I", "F") or picture.mode.startswith("I;16")
    if not grey or len(facts["channels"]) == 3:
        picture = picture.convert("RGB")
    pixels = np.asarray(picture, dtype=np.float32)
    if pixels.ndim == 3 and len(facts["channels"]) == 1 and (pixels == pixels[..., :1]).all():
        pixels = pixels[..., 0]
    if picture.mode.startswith("I;16") and getattr(source, "tag_v2", {}).get(262) == 0:  # a TIFF whose 0 is white
        pixels = 65535 - pixels
    side = facts.get("pixel_mm") or 1
    return nib.Nifti1Image(pixels.swapaxes(0, 1)[:, :, None], np.diag([-side, -side, 1, 1]))


def write(out, labels, scan):
    """Write label values [X, Y, Z] in the place of a scan, or as a picture where the file is to be one."""
    if not str(out).lower().endswith((".nii", ".nii.gz")):
        from PIL import Image

        Image.fromarray(np.ascontiguousarray(labels[:, :, 0].T)).save(out)
        return
    mask = type(scan)(labels.reshape(scan.shape[:3]), scan.affine, scan.header, dtype=labels.dtype)
    mask.header.set_slope_inter(1, 0)
    mask.header.set_intent("none")
    mask.header["cal_min"] = mask.header["cal_max"] = 0  # the scan's window
    mask.to_filename(out)


def place(header, shape, facts):
    """Return the affine; stop where equireg's rule for headers that say two things would be needed."""
    spacing, found = np.abs(header["pixdim"][1:4]), forms(header)
    alike = all(np.allclose(np.linalg.norm(form[:3, :3], axis=0), spacing, rtol=1e-3) for form in found)
    turns = [nib.io_orientation(form) for form in found]
    flat = [axis for axis in range(3) if shape[axis] == 1]
    if not alike or (turns[0] != turns[-1]).any() or int(header["xyzt_units"]) % 8 in (1, 3):
        sys.exit("The scan's header says two things of its place, or is not in mm. Save it again with one affine.")
    if len(flat) == 1 and "xyz"[int(turns[0][flat[0], 0])] != facts["axes"][0]:
        sys.exit(f"The scan is a single slice across another axis than {facts['axes'][0]}, which the networks know.")
    return found[0]


def forms(header):
    """Return the affines of a header, the sform first; where neither is set, to left, posterior and superior."""
    found = [form for form in (header.get_sform(True)[0], header.get_qform(True)[0]) if form is not None]
    return found or [np.diag([*np.abs(header["pixdim"][1:4]) * [-1, -1, 1], 1])]


def turn(volume, affine, axes):
    """View [..., X, Y, Z] along the networks' axes, each towards right, anterior or superior."""
    own = {"xyz"[int(to)]: (axis, int(sign)) for axis, (to, sign) in enumerate(nib.io_orientation(affine))}
    lead = volume.ndim - 3
    volume = volume.transpose([*range(lead), *(lead + own[name][0] for name in axes)])
    return volume[(..., *(slice(None, None, own[name][1]) for name in axes))]


def resample(volume, axis, new, blur):
    """Interpolate linearly to ``new`` voxels of the same extent; before an axis shrinks it is blurred."""
    size = volume.shape[axis]
    if size == new:
        return volume
    volume = np.moveaxis(volume, axis, 0).astype(np.float32)
    if blur and size > 1.2 * new:
        sigma = np.sqrt((size / new) ** 2 - 1) / np.sqrt(8 * np.log(2))
        reach = int(4 * sigma + 0.5)
        bell = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
        padded = np.pad(volume, [(reach, reach), *[(0, 0)] * (volume.ndim - 1)], "edge")
        volume = np.sum([part * padded[start : start + size] for start, part in enumerate(bell / bell.sum())], axis=0)
    position = np.clip((np.arange(new) + 0.5) * (size / new) - 0.5, 0, size - 1)
    below = np.minimum(position.astype(int), max(size - 2, 0))
    weight = (position - below).astype(np.float32).reshape(-1, *[1] * (volume.ndim - 1))
    return np.moveaxis(volume[below] * (1 - weight) + volume[np.minimum(below + 1, size - 1)] * weight, 0, axis)


def border(channel):
    """Return the outermost voxels."""
    faces = [channel.take(place, axis).ravel() for axis in range(3) if channel.shape[axis] > 1 for place in (0, -1)]
    return np.concatenate(faces) if faces else channel.ravel()


def normalise(channel, rule, index):
    """Return the normalised channel, where it is not background (None: everywhere), and its background's value."""
    values, counts = np.unique(border(channel), return_counts=True)
    constant = values[counts.argmax()] if 2 * counts.max() >= counts.sum() else None
    inside = channel.ravel() if constant is None or (channel == constant).all() else channel[channel != constant]
    low, high, mean, std = -np.inf, np.inf, 0.0, 1.0
    name = rule["schemes"][index] if rule["name"] == "mixed" else rule["name"]
    if name == "ct":
        low, high, mean, std = (rule[key][index] for key in ("low", "high", "mean", "std"))
    elif name == "zscore":
        bulk = np.sort(inside)[[int(np.ceil(0.001 * (inside.size - 1))), int(0.999 * (inside.size - 1))]]
        reach = 10 * (bulk[1] - bulk[0])
        near = inside[(inside >= bulk[0] - reach) & (inside <= bulk[1] + reach)]
        clipped = np.clip(inside, near.min(), near.max())
        if reach > 0 and inside.std(dtype=float) > 1.5 * clipped.std(dtype=float):  # a few absurd voxels
            low, high, inside = near.min(), near.max(), clipped
        mean, std = inside.mean(dtype=float), inside.std(dtype=float)
        if constant is not None and std <= 1e-7 * max(np.abs(inside).max(), abs(constant)):  # a mask
            mean, std = float(constant), abs(mean - constant)
    scaled = channel
    if name != "none":
        std = max(std, 1e-7 * np.abs(inside).max()) or 1.0
        scaled = np.clip((np.clip(channel, low, high) - mean) / std, -1000, 1000).astype(np.float32)
    differs = None if constant is None else channel != constant
    return scaled, differs, np.median(border(scaled)) if constant is None else scaled[channel == constant][0]


def prepare(image, affine, facts):
    """Return what the networks see [C, D, H, W], its background [C], the box that it is of the whole, and the whole."""
    turned = turn(image, affine, facts["axes"])
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    spacing = {"xyz"[int(to)]: length for (to, _), length in zip(nib.io_orientation(affine), lengths, strict=True)}
    wanted = {name: facts["spacing_mm"][name] if facts["spacing_mm"] else spacing[name] for name in "xyz"}
    wanted = {name: spacing[name] if abs(wanted[name] / spacing[name] - 1) <= 0.01 else wanted[name] for name in "xyz"}
    sizes = zip(turned.shape[1:], facts["axes"], strict=True)
    whole = [max(1, round(size * spacing[name] / wanted[name])) for size, name in sizes]
    parts = [normalise(channel, facts["normalisation"], index) for index, channel in enumerate(turned)]
    masks = [differs for _, differs, _ in parts if differs is not None]
    box = [slice(0, size) for size in whole]
    if len(masks) == len(parts):
        picks = [
            (2 * np.arange(new) + 1) * size // (2 * new) for new, size in zip(whole, turned.shape[1:], strict=True)
        ]
        where = np.argwhere(np.any(masks, axis=0)[np.ix_(*picks)])
        box = [slice(a, b) for a, b in zip(where.min(0), where.max(0) + 1, strict=True)] if len(where) else box
    working = np.stack([scaled for scaled, _, _ in parts])
    for axis, new in enumerate(whole):
        working = resample(working, axis + 1, new, blur=True)
    return working[(slice(None), *box)].astype(np.float32), [background for *_, background in parts], box, whole


def pad(working, background, patch):
    """Return a scan [C, D, H, W] in the middle of at least a patch of its background, and where it lies there."""
    sides = list(zip(working.shape[1:], [1] * (3 - len(patch)) + list(patch), strict=True))  # slices: none across
    padded = np.empty((len(working), *(max(size, side) for size, side in sides)), dtype=np.float32)
    padded[:] = np.reshape(background, (-1, 1, 1, 1))
    inner = [slice(max(side - size, 0) // 2, max(side - size, 0) // 2 + size) for size, side in sides]
    padded[(slice(None), *inner)] = working
    return padded, inner


def restore(probs, affine, shape, box, whole, facts):
    """Return label values [X, Y, Z] of probabilities [K, D, H, W] of the box."""
    full = np.zeros((len(probs), *whole), dtype=np.float32)
    full[0] = 1
    full[(slice(None), *box)] = probs
    values = np.array([label["value"] for label in facts["labels"]])
    classes = np.empty(shape, dtype=np.uint8)
    view = turn(classes, affine, facts["axes"])
    for axis, size in enumerate(view.shape):
        full = resample(full, axis + 1, size, blur=False)
    view[...] = full.argmax(axis=0)
    if facts["post_process"]:
        from components import keep  # beside this file where the model has steps

        voxel_mm3 = float(abs(np.linalg.det(affine[:3, :3])))
        classes = keep(classes, facts["post_process"], voxel_mm3)
    kind = np.promote_types(np.min_scalar_type(values.min()), np.min_scalar_type(values.max()))
    return values.astype(kind)[classes]
