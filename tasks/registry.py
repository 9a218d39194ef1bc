"""The model registry: MLflow's, holding plain files, every one with its checksum.

A version is created only after its files have been uploaded and read back, so an alias can only point at a complete
version. Versions are found by the identity of what computes (weights, tokenizer, configuration), never by time.
Nothing here runs code from a registered model: no pickle, no flavour, only files.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.errors import GateError, IntegrityError, RegistryError
from model.files import finished_folder, sha256_file
from tasks.registered_files import (
    FILES_TAG,
    IDENTITY_TAG,
    MEND,
    RECORD_TAG,
    RECORDED,
    SCORE_TAG,
    TRAINING_TEXTS,
    check_files,
    check_record,
    files_of,
    local_folder,
    matches,
    sealed,
)
from tasks.settings import Settings, read_settings
from tasks.tracking import ABSENT, Connection, connect, error_code, reason, tracking_errors, workspace_lock

CANDIDATE, CHAMPION, PREVIOUS = "candidate", "champion", "previous"
ALIASES = (CANDIDATE, CHAMPION, PREVIOUS)
COMPLETE_TAG, WITHDRAWN_TAG = "complete", "withdrawn"
LONGEST_DESCRIPTION = 5000
TRANSFER_TIMEOUT_S = 60.0
REMEDY = "nothing is lost; start it (or correct MLFLOW_TRACKING_URI) and run the same command again"


@dataclass(frozen=True)
class ModelVersion:
    """One version as the registry lists it.

    Attributes:
        name: The registered model.
        version: Its number.
        aliases: Which of candidate, champion, previous point at it.
        tags: Its provenance, as texts.
        run_id: The MLflow run that holds its files.
        source: Where the files are.
        created_ms: When it was registered (milliseconds since 1970).
    """

    name: str
    version: int
    aliases: tuple[str, ...]
    tags: Mapping[str, str]
    run_id: str
    source: str
    created_ms: int

    @property
    def identity(self) -> str:
        """The digest of everything that computes."""
        return self.tags.get(IDENTITY_TAG, "")

    @property
    def bits_per_byte(self) -> float | None:
        """Its result on the test set that `judged_on` names."""
        return float(self.tags[SCORE_TAG]) if SCORE_TAG in self.tags else None

    @property
    def checksums(self) -> dict[str, str]:
        """The sha256 of every file, by name."""
        return dict(json.loads(self.tags.get(FILES_TAG, "{}")))


@dataclass(frozen=True)
class RegisteredModel:
    """A version with its files on this machine, checked byte by byte.

    Attributes:
        version: The version's number.
        folder: A Hugging Face model folder.
        tags: Its provenance.
    """

    version: int
    folder: Path
    tags: Mapping[str, str]


class Registry:
    """The versions of one model name; every method asks the server."""

    def __init__(self, connection: Connection, name: str) -> None:
        self.connection = connection
        self.name = name
        self._client = connection.client

    def versions(self, **tags: str) -> list[ModelVersion]:
        """Complete versions, oldest first, those with the given tags."""
        query = f"name = '{self.name}'" + "".join(f" and tags.`{k}` = '{v}'" for k, v in tags.items())
        found, token = [], None
        while True:
            page = self._client.search_model_versions(query, max_results=200, page_token=token)
            found += list(page)
            token = page.token
            if not token:
                break
        aliases = self._aliases() if found else {}
        listed = [_listed(v, aliases) for v in found if v.tags.get(COMPLETE_TAG) == "true"]
        return sorted(listed, key=lambda v: v.version)

    def get(self, reference: str | int) -> ModelVersion | None:
        """The version that an alias or a number names, or None."""
        number = self._aliases().get(reference) if isinstance(reference, str) and not reference.isdigit() else reference
        if number is None:
            return None
        return next((v for v in self.versions() if v.version == int(number)), None)

    def register(
        self,
        folder: Path,
        identity: str,
        run: Callable[[], str],
        tags: Mapping[str, str],
        say: Callable[[str], None] = lambda _line: None,
    ) -> ModelVersion:
        """Upload a finished folder to a run, read it back, and make it a version; an equal one is returned as it is.

        Where the registered files of an equal one are damaged, or it has no record of its training texts, the files
        are written again.

        Args:
            folder: The files.
            identity: The digest of everything in them that computes.
            run: Gives the MLflow run that keeps the files; called only when there is something to keep.
            tags: The provenance.
            say: Told in a line that files were written again.

        Raises:
            IntegrityError: What was read back is not what was sent.
        """
        checksums = {p.relative_to(folder).as_posix(): sha256_file(p) for p in files_of(folder)}
        tags = sealed({**tags, IDENTITY_TAG: identity, FILES_TAG: json.dumps(checksums), COMPLETE_TAG: "true"})
        existing = self.versions(**{IDENTITY_TAG: identity})
        if existing:
            return self._mended(existing[0], folder, checksums, tags, say)
        run_id = run()
        place = f"model/{identity[:16]}"
        self._client.log_artifacts(run_id, str(folder), place)
        artifacts = self._client.get_run(run_id).info.artifact_uri
        self._read_back(f"{artifacts}/{place}", run_id, checksums)
        self._create_name()
        self._client.create_model_version(
            self.name,
            source=f"{artifacts}/{place}",
            run_id=run_id,
            tags=tags,
            description=_description(folder),
            await_creation_for=0,  # there is nothing to wait for: the files are there
        )
        first, *twins = self.versions(**{IDENTITY_TAG: identity})
        for twin in twins:  # somebody else registered the same bytes at the same time, or a frozen server did so twice
            if twin.run_id == run_id:
                self._client.delete_model_version(self.name, str(twin.version))
        return first

    def _mended(
        self,
        version: ModelVersion,
        folder: Path,
        checksums: Mapping[str, str],
        tags: Mapping[str, str],
        say: Callable[[str], None],
    ) -> ModelVersion:
        """A version with the same identity, its files written again where they are not whole."""
        wrong = ""
        try:
            check_record(f"{version.name} version {version.version}", version.tags)
            self._read_back(version.source, version.run_id, version.checksums)
            if not {n for n in checksums if n.startswith(TRAINING_TEXTS)} <= set(version.checksums):
                wrong = "it has no record of its training texts"
        except IntegrityError as error:
            wrong = str(error)
        if not wrong:
            return version
        self._client.log_artifacts(version.run_id, str(folder), _place(version))
        self._read_back(version.source, version.run_id, checksums)
        for key in (*RECORDED, RECORD_TAG):
            if key in tags:
                self._client.set_model_version_tag(self.name, str(version.version), key, tags[key])
        say(f"{self.name} version {version.version}: its files were written again ({wrong})")
        return self.get(version.version) or version

    def point(self, alias: str, version: ModelVersion) -> None:
        """Let an alias point at a version."""
        self._client.set_registered_model_alias(self.name, alias, str(version.version))

    def make_champion(self, version: ModelVersion) -> None:
        """Move `champion` to a version and leave the old one as `previous`; a cut in between leaves both valid."""
        old = self.get(CHAMPION)
        if old is not None and old.version == version.version:
            return
        if old is not None:
            self.point(PREVIOUS, old)
        self.point(CHAMPION, version)
        self.reinstate(version)

    def fetch(self, version: ModelVersion) -> RegisteredModel:
        """The version's files on this machine, checked.

        Raises:
            IntegrityError: A file is missing, its bytes are not those that were registered, or the registry's own
                record of the version changed.
        """
        check_record(f"{version.name} version {version.version}", version.tags)
        folder = local_folder(version.source)
        if folder is None:
            folder = self.connection.root / ".tisslm" / "models" / version.identity
            with workspace_lock(self.connection.root, "models"):  # two readers must not download into each other
                if not folder.is_dir() or not matches(folder, version.checksums):
                    with finished_folder(folder) as temporary:
                        download = temporary / ".download"  # where in it the files land depends on the store
                        download.mkdir()
                        arrived = self._download(version.run_id, version.source, download)
                        for file in sorted(arrived.iterdir()):
                            file.rename(temporary / file.name)
                        shutil.rmtree(download)
        check_files(folder, version.checksums)
        return RegisteredModel(version.version, folder, version.tags)

    def withdraw(self, version: ModelVersion, why: str) -> None:
        """Mark a version so that publishing the same bytes again does not promote it."""
        self._client.set_model_version_tag(self.name, str(version.version), WITHDRAWN_TAG, why)

    def reinstate(self, version: ModelVersion) -> None:
        """Take the mark of a withdrawal away from a version that is champion again."""
        if WITHDRAWN_TAG in version.tags:
            self._client.delete_model_version_tag(self.name, str(version.version), WITHDRAWN_TAG)

    def _read_back(self, source: str, run_id: str, checksums: Mapping[str, str]) -> None:
        folder = local_folder(source)
        if folder is not None:
            check_files(folder, checksums)
            return
        with tempfile.TemporaryDirectory(prefix="tisslm-read-back-") as temporary:
            check_files(self._download(run_id, source, Path(temporary)), checksums)

    def _download(self, run_id: str, source: str, target: Path) -> Path:
        try:
            return Path(self._client.download_artifacts(run_id, _place_of(source), str(target)))
        except Exception as error:
            if error_code(error) not in ABSENT:
                raise
            raise IntegrityError(f"{source}: the files are not there ({reason(error)}); {MEND}") from error

    def _create_name(self) -> None:
        try:
            self._client.create_registered_model(self.name)
        except Exception as error:
            if error_code(error) != "RESOURCE_ALREADY_EXISTS":
                raise

    def _aliases(self) -> dict[str, int]:
        try:
            return {k: int(v) for k, v in self._client.get_registered_model(self.name).aliases.items()}
        except Exception as error:
            if error_code(error) in ABSENT:
                return {}
            raise


def open_registry(root: Path, name: str, settings: Settings | None = None) -> Registry:
    """Connect to the registry of a workspace."""
    return Registry(connect(root, settings or read_settings(), timeout_s=TRANSFER_TIMEOUT_S), name)


def resolve(root: Path, name: str, reference: str | int = CHAMPION) -> RegisteredModel:
    """The files of the version that an alias or a number names, checked before use.

    Raises:
        RegistryError: The registry has no such version, or none at all.
        TrackingError: It cannot be reached.
        IntegrityError: The files are not those that were registered.
    """
    with tracking_errors(root, REMEDY):
        registry = open_registry(root, name)
        return registry.fetch(_existing(registry, reference))


def list_versions(root: Path, name: str) -> list[ModelVersion]:
    """All complete versions, oldest first; empty where there are none."""
    with tracking_errors(root, REMEDY):
        return open_registry(root, name).versions()


def promote(root: Path, name: str, reference: str | int, max_bits_per_byte: float | None = None) -> ModelVersion:
    """Make a version champion by hand; it need not beat the present one, but its files must verify.

    Raises:
        GateError: Its test result is worse than `max_bits_per_byte`.
        RegistryError, TrackingError, IntegrityError: As for `resolve`.
    """
    with tracking_errors(root, REMEDY):
        registry = open_registry(root, name)
        version = _existing(registry, reference)
        score = version.bits_per_byte
        if max_bits_per_byte is not None and (score is None or score > max_bits_per_byte):
            raise GateError(
                f"{name} version {version.version}: {score} bits/byte on its test set, expected at most "
                f"{max_bits_per_byte} (publish.max_bits_per_byte); promote a better version or change the gate"
            )
        registry.fetch(version)
        registry.make_champion(version)
        registry.reinstate(version)  # also where it was champion before
        return version


def rollback(root: Path, name: str) -> ModelVersion:
    """Make the previous champion champion again; the present one becomes `previous`, so a second rollback undoes it.

    Raises:
        RegistryError: There is no previous version.
        TrackingError, IntegrityError: As for `resolve`.
    """
    with tracking_errors(root, REMEDY):
        registry = open_registry(root, name)
        champion, previous = registry.get(CHAMPION), registry.get(PREVIOUS)
        if champion is None or previous is None or champion.version == previous.version:
            raise RegistryError(f"{name}: no previous champion to go back to; `tisslm models list` shows the versions")
        registry.fetch(previous)
        registry.withdraw(champion, f"rolled back to version {previous.version}")
        registry.point(CHAMPION, previous)
        registry.point(PREVIOUS, champion)
        registry.reinstate(previous)
        return previous


def _existing(registry: Registry, reference: str | int) -> ModelVersion:
    version = registry.get(reference)
    if version is not None:
        return version
    known = registry.versions()
    if not known:
        raise RegistryError(
            f"registry: no version of model {registry.name!r} yet; run `tisslm run` to train and publish one, or "
            "`tisslm run --from publish --force` where a finished model is already in data/"
        )
    numbers = ", ".join(str(v.version) + (f" ({', '.join(v.aliases)})" if v.aliases else "") for v in known[-10:])
    raise RegistryError(f"registry: {registry.name} has no version {reference!r}; it has {numbers}")


def _place_of(source: str) -> str:
    """Where a version's files are among its run's artifacts."""
    return "model/" + source.rpartition("/model/")[2]


def _place(version: ModelVersion) -> str:
    return _place_of(version.source)


def _listed(version: Any, aliases: Mapping[str, int]) -> ModelVersion:
    number = int(version.version)
    names = tuple(alias for alias in ALIASES if aliases.get(alias) == number)
    return ModelVersion(
        version.name, number, names, dict(version.tags), version.run_id, version.source, version.creation_timestamp
    )


def _description(folder: Path) -> str:
    """The model card without its metadata, as much of it as MLflow's databases take, cut at a line."""
    card = folder / "README.md"
    text = card.read_text(encoding="utf-8") if card.is_file() else ""
    text = text.split("\n---\n\n", 1)[-1] if text.startswith("---\n") else text
    return text if len(text) <= LONGEST_DESCRIPTION else text[:LONGEST_DESCRIPTION].rpartition("\n")[0]
