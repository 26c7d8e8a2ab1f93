"""Names without identities: a patient, a study and a series become digests of what DICOM calls them.

The digest of a PatientID is short, and always the same for the same ID: who has a list of IDs can compute the digest of
each and compare. Where that matters, set the environment variable ``EQUIREG_NAME_KEY`` to a secret: digests then depend
on it, and cannot be compared without it.
"""

import os
import re
from collections.abc import Iterable
from hashlib import blake2b

KEY = "EQUIREG_NAME_KEY"
"""Environment variable with the secret."""
_CASE = re.compile(r"[0-9a-f]{10}_[0-9a-f]{6}(_.*)?")
"""Names of cases, each with that of its study."""
_MOST = 64  # bytes of a key and of a readable name


def advice_on_names(names: Iterable[str], verb: str) -> str:
    """Return how cases may get names that people know, with a space in front, where all names are digests; else ''."""
    if not all(map(_CASE.fullmatch, names)):
        return ""
    return f" Cases of DICOM are named by digests; `equireg {verb} --keep_names true` names them by the PatientID."


def digest(text: str, digits: int) -> str:
    """Return some hexadecimal digits that stand for a text; an even number."""
    key = os.environ.get(KEY, "").encode()
    if len(key) > _MOST:
        key = blake2b(key).digest()
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=digits // 2, key=key).hexdigest()


def patient_name(patient_id: str, study_uid: str, *, keep: bool) -> str:
    """Return the name of a patient: ten digits, or, to ``keep`` the ID, as much of it as is fit for a file.

    Without an ID each study counts as a patient of its own.
    """
    if not patient_id:
        return digest(f"study {study_uid}", 10)
    if keep:
        plain = re.sub(r"[^A-Za-z0-9.-]+", "-", patient_id).strip("-.")[:_MOST]
        return plain if plain == patient_id else f"{plain}-{digest(patient_id, 4)}".lstrip("-")
    return digest(patient_id, 10)


def uid_name(uid: str) -> str:
    """Return six digits that stand for a study or a series."""
    return digest(uid, 6)
