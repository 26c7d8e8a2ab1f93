"""What all requests share: the model, the prepared folder, what was sent, and the training."""

import logging
import shutil
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from equireg.annotation.adopt import take_masks
from equireg.annotation.workplace import shown_file, write_scan
from equireg.config import AdoptConfig, ServeConfig, TrainConfig
from equireg.config.parsing import from_plain
from equireg.errors import EquiregError
from equireg.folders.predictions import prediction_file
from equireg.folders.prepared import CaseRecord, PreparedSet
from equireg.folders.prepared.adopted import Adoption
from equireg.imaging.labels import LabelTable
from equireg.imaging.segments import stated_names
from equireg.layouts import RawCase
from equireg.prediction.scans import InputCase, RawScan
from equireg.serving.background import Training
from equireg.serving.errors import RequestError, unknown
from equireg.serving.labels import rewritten, tell_other_labels
from equireg.serving.order import STRATEGIES, Order
from equireg.serving.rounds import Rounds
from equireg.serving.scratch import temporary_folder
from equireg.serving.segmenting import Drawn, Segmenter
from equireg.serving.uploads import Sent, Uploads, save
from equireg.serving.watching import WatchedFolder

log = logging.getLogger("equireg")

NO_FOLDER = "no prepared folder was given. Start the server with --prepared."


class Desk:
    """One annotation loop, or one model alone.

    Args:
        folder: a run, an ensemble, or a folder for the runs of a loop.
        config: options of the server.

    Raises:
        EquiregError: if there is neither a model nor a prepared folder, or one of them cannot be read.
    """

    def __init__(self, folder: Path, config: ServeConfig) -> None:
        self.config = config
        scans = None if config.scans is None else Path(config.scans)
        self._watched = None if config.prepared is None else WatchedFolder(Path(config.prepared), scans)
        self.rounds = Rounds(folder, None if self._watched is None else self._watched.data)
        if self.rounds.newest() is None and self._watched is None:
            raise EquiregError(
                f"{folder}: holds no finished run, so there is no model. Give the output of `equireg train`, or "
                "--prepared beside it to annotate scans and train here."
            )
        self._temporary = temporary_folder()
        self.scratch = Path(self._temporary.name)
        self._drafts = self.scratch / "drafts"
        self.uploads = Uploads(self.scratch / "sent")
        self.roots = [self.scratch, self.rounds.home, *([] if self._watched is None else [self._watched.root])]
        self.training = Training(self.roots)
        self._order = Order()
        self._model: Segmenter | None = None
        self._cases: tuple[Segmenter, PreparedSet, dict[str, InputCase]] | None = None
        self._changing, self._loading = threading.RLock(), threading.Lock()
        self.newest_model()
        self._known_cases()

    def close(self) -> None:
        """Stop the training, and delete what was sent."""
        self.training.end()
        self._temporary.cleanup()

    @property
    def name(self) -> str:
        """Name of the model, which stays while it is trained again."""
        return self.rounds.name

    @property
    def has_folder(self) -> bool:
        """Whether scans are annotated."""
        return self._watched is not None

    @property
    def data(self) -> PreparedSet:
        """The prepared folder as it is now.

        Raises:
            RequestError: if there is none.
        """
        return self._folder().data

    def _folder(self) -> WatchedFolder:
        if self._watched is None:
            raise RequestError(409, NO_FOLDER)
        return self._watched

    def _known_cases(self) -> dict[str, InputCase]:
        """Return the cases of the prepared folder by name, as the model takes them; empty without one of the two."""
        if self._watched is None or self._model is None:
            return {}
        model, data = self._model, self.data
        if self._cases is None or self._cases[:2] != (model, data):
            self._cases = model, data, model.of_prepared(data)
        return self._cases[2]

    @property
    def labels(self) -> LabelTable:
        """The labels of the prepared folder, or else of the model."""
        return self.data.manifest.labels if self.has_folder else self.model().facts.labels

    def newest_model(self) -> Segmenter | None:
        """Return the newest model, loaded; None before the first training."""
        with self._loading:
            run = self.rounds.newest()
            if run is not None and (self._model is None or self._model.run != run):
                self._model = Segmenter(run, self.config)
                log.info("the model is %s", run)
                if self.has_folder:
                    tell_other_labels(run, self._model.facts.labels, self.data)
            return self._model

    def model(self, name: str | None = None) -> Segmenter:
        """Return the model.

        Raises:
            RequestError: if another is asked for, or nothing was trained so far.
        """
        if name is not None and name != self.name:
            raise RequestError(404, f"no model is named {name[:80]!r}; this server has {self.name}.")
        found = self.newest_model()
        if found is None:
            raise RequestError(409, "there is no model so far. Annotate some scans, and train.")
        return found

    def case(self, image: str, *, raw: bool = False) -> InputCase:
        """Return a scan that was sent, or one of the prepared folder; with ``raw`` as it lies in the raw folder.

        Raises:
            RequestError: if none has that name.
        """
        model, cases = self.model(), self._known_cases()
        if image in cases:
            found = self._raw_case(image)  # refuses a scan that is another by now
            return InputCase(image, RawScan(found, model.facts)) if raw and found is not None else cases[image]
        sent = self.uploads.find(image)
        if sent is None:
            raise unknown(image)
        return model.of_file(sent.name, sent.path)

    def draw(
        self, model: str, case: InputCase, *, archive: bool = False
    ) -> tuple[Drawn, "tempfile.TemporaryDirectory[str]"]:
        """Predict a scan; return it with the folder that it lies in, which the caller removes."""
        folder = tempfile.TemporaryDirectory(dir=self.scratch, prefix="drawn-")
        try:
            drawn = self.model(model).draw(case, Path(folder.name), archive=archive)
        except BaseException:
            folder.cleanup()
            raise
        return drawn, folder

    def keep_draft(self, drawn: Drawn) -> None:
        """Keep a mask that is shown to an annotator, to compare it with the corrected one."""
        if drawn.case in self._known_cases():
            self._drafts.mkdir(exist_ok=True)
            shutil.copyfile(drawn.mask, self._drafts / drawn.mask.name)

    def record(self, image: str) -> CaseRecord:
        """Return what is known of a scan of the prepared folder.

        Raises:
            RequestError: if there is none of that name, or no prepared folder.
        """
        if image not in self.data.by_name:
            if self.uploads.find(image) is not None:
                raise RequestError(
                    409,
                    f"{image[:80]!r} was sent to the server, and is not in the prepared folder, so its mask cannot be "
                    "kept. Put the scan into the raw folder, and run `equireg prepare` again.",
                )
            raise unknown(image)
        return self.data.by_name[image]

    def image_file(self, image: str) -> Path:
        """Return the file that shows a scan: of several channels, that on which most is seen.

        Raises:
            RequestError: if the scan is unknown, or its file is gone.
        """
        sent = self.uploads.find(image)
        if sent is not None and sent.path.is_file() and not (self.has_folder and image in self.data.by_name):
            return sent.path
        case = self._raw_case(image)
        if case is None or not case.images:
            raise RequestError(404, f"the file of {image} is not where it was. Start the server with --scans.")
        shown = shown_file(case, self.data.manifest.channels)
        return self._one_file(case, shown) if isinstance(shown, int) else shown

    def _raw_case(self, image: str) -> RawCase | None:
        """Return a scan of the prepared folder as it lies in the raw folder; None where it is gone."""
        return self._folder().raw_case(self.record(image).name)

    def _one_file(self, case: RawCase, channel: int) -> Path:
        """Write a channel of a scan as one file, for clients that load one."""
        path = self.scratch / f"scans_{self._folder().changes}" / f"{case.name}.nii.gz"
        with self._changing:
            if not path.is_file():
                path.parent.mkdir(exist_ok=True)
                write_scan(path, case, channel)
        return path

    def add_image(self, name: str, file: Sent) -> str:
        """Keep a scan that was sent until the server ends; return its name.

        Raises:
            EquiregError: if the name is not fit, or a scan of the prepared folder has it.
        """
        kept = self.uploads.add_image(name, file)
        if self.has_folder and kept in self.data.by_name:
            self.uploads.remove(kept)
            raise RequestError(409, f"a scan of the prepared folder is named {kept}. Rename the scan that is sent.")
        return kept

    def next_case(self, strategy: str) -> str | None:
        """Return the scan to annotate next; None where all have a mask.

        Raises:
            RequestError: if there is no such way to choose, or it needs a model and there is none.
        """
        folder = self._folder()
        if strategy not in STRATEGIES:
            raise RequestError(404, f"no strategy is named {strategy[:80]!r}; expected {', '.join(STRATEGIES)}.")
        model = self.model() if strategy == "doubt" else None
        name = "" if model is None else model.run.name
        return self._order.next_of(lambda: folder.data, strategy, name, None if model is None else self._doubts)

    def _doubts(self, names: Sequence[str]) -> dict[str, float]:
        found, cases = {}, self._known_cases()
        for name in names:
            drawn, folder = self.draw(self.name, cases[name])
            folder.cleanup()
            found[name] = 1.0 if drawn.quality.quality is None else 1 - drawn.quality.quality
        return found

    def take(self, image: str, mask: Sent, params: Any) -> Adoption:
        """Take the mask of a scan into the prepared folder.

        Args:
            image: name of the case.
            mask: the file.
            params: what the client says of it: names of its segments, and who drew it.

        Raises:
            EquiregError: if the mask does not fit.
        """
        self._raw_case(image)
        by = params.get("client_id") if isinstance(params, dict) else None
        options = AdoptConfig(by=by[:80] if isinstance(by, str) else None, drafts=str(self._drafts))
        with tempfile.TemporaryDirectory(dir=self.scratch, prefix="mask-") as folder:
            path, names = save(mask, Path(folder) / "sent", stem=image), {}
            with self._changing:
                if not stated_names(path):
                    path, names = rewritten(path, self.record(image), params, self.data)
                taken = take_masks(self.data.root, [path], options, names)[image]
                prediction_file(self._drafts, image).unlink(missing_ok=True)  # what is sent next corrects this mask
                self._folder().read_again()
        return taken

    def train(self, params: Any) -> dict[str, Any]:
        """Start a training in the background that continues from the newest model; return its status.

        Args:
            params: ``max_minutes`` or ``max_steps``, where the client says them.

        Raises:
            EquiregError: if there is no prepared folder, a training runs, or a limit is none of `equireg train`.
        """
        arguments = [str(self.data.root), "--device", self.config.device, "--precision", self.config.precision]
        newest = self.rounds.newest_network()
        if newest is not None:
            arguments += ["--init", str(newest)]
        if self.config.train_config is not None:
            arguments += ["--config", self.config.train_config]
        given = params if isinstance(params, dict) else {}
        limits = {name: given[name] for name in ("max_minutes", "max_steps") if given.get(name)}
        if not limits and self.config.train_config is None:
            limits = {"max_minutes": self.config.train_minutes}
        for name, value in limits.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise RequestError(400, f"{name} is {str(value)[:80]!r}; expected a number.")
            arguments += [f"--{name}", str(value)]
        from_plain(TrainConfig, limits)
        return self.training.start(self.name, arguments, self.rounds.next_folder())
