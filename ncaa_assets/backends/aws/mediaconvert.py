"""AWS Elemental MediaConvert as the transcoder, without ever paying twice for an encode.

The ledger in `processed_videos/.ledger/` has an object for each pair of source bytes and settings. It says what was
asked of MediaConvert and what came of it. The intent is written before the job is created. A run that finds an intent
without a result looks for its job (by input file, then among the newest) and takes it over in whatever state it is. The
intent's token is MediaConvert's ClientRequestToken: a second CreateJob with it within a minute returns the first job.

All jobs are submitted first and then watched together, with one status call in each poll interval. A run that ends
leaves its jobs working, and the next run takes them over.
"""

import logging
import random
import re
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError

from ncaa_assets.backends.aws.boto import code_of, is_passing, sentence
from ncaa_assets.backends.aws.clients import console
from ncaa_assets.backends.aws.minutes import reserve
from ncaa_assets.backends.aws.prices import ENCODED_MINUTE
from ncaa_assets.backends.aws.s3 import S3Store
from ncaa_assets.backends.facts import facts_of
from ncaa_assets.failures import BackupError, EncodeFailed, EncodeRefused, ObjectMissing, StoreError, WriteConflict
from ncaa_assets.media.bounds import EncodeBounds
from ncaa_assets.media.isobmff import NotWhole, read_movie
from ncaa_assets.media.lengths import too_short
from ncaa_assets.media.minutes import billed_minutes
from ncaa_assets.media.probe import Unreadable, read_facts
from ncaa_assets.media.profile import Profile, mediaconvert_settings, mediaconvert_settings_hash
from ncaa_assets.ports import EncodeOutcome, EncodeRequest, Expect, Transcoder
from ncaa_assets.record.fields import Moment, Name, OutputKey, SettingsHash, Sha256
from ncaa_assets.record.models import Poster, ProcessedVideo, Versioned
from ncaa_assets.record.written import from_bytes, to_bytes
from ncaa_assets.text import called, plural, visible

if TYPE_CHECKING:
    from types_boto3_mediaconvert import MediaConvertClient

log = logging.getLogger(__name__)

LEDGER = "processed_videos/.ledger/"

_LONGEST = 86400.0  # seconds of a video, where no bound is given
_LOG_EVERY = 10.0  # seconds between two log lines on the progress of one job
_SLOWEST_POLL = 30.0  # seconds
_MOST_BAD_POLLS = 10  # in a row
_INDEXED_AFTER = timedelta(hours=1)  # SearchJobs reads an index, which has every job that is older than this
_LONGEST_SEARCH = 300  # characters of an input file's address that SearchJobs accepts (API reference)
_TOKEN = "ncaa_assets_token"  # noqa: S105 - the name of a field in a job's metadata
_ARCHIVE = "ncaa_assets_archive"
_LONGEST_METADATA = 256  # characters of a value in a job's metadata

_ENDED_BADLY = ("ERROR", "CANCELED")

# The settings of earlier versions of this project. What was paid for with them is not paid for again.
_EARLIER_SETTINGS = ("7bc36a8445ab2c92",)

# What MediaConvert's error codes say of the source itself (User Guide, "Error codes"); all others are about access, a
# role, a disk or the service, and may pass or be mended. 1020: no picture. 1030: a codec or container that it does not
# support. 1040: settings that do not fit the input. 1075: it cannot be taken apart. 1076: it ends too early.
_CLIPS_FAULT = {1020, 1030, 1040, 1075, 1076}
_SOUNDS_FAULT = {1021, 1092}  # no sound is found; the sound cannot be decoded


class LedgerEntry(Versioned):
    """What was asked of MediaConvert for one source with one version of the settings, and what came of it."""

    source_sha256: Sha256
    settings_hash: SettingsHash
    source: Name
    output_key: OutputKey
    token: Name
    asked_at: Moment
    job_id: str | None = None
    # The sound is left out because it cannot be read, and why, in words.
    lacks: str | None = None
    # Why these bytes can never be encoded with these settings, in words.
    refused: str | None = None
    result: ProcessedVideo | None = None
    output_version: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to be asked of MediaConvert."""
        return self.result is not None or self.refused is not None


@dataclass
class _Work:
    """An entry of the ledger, its version in the store, and the requests that wait for it, all for the same bytes."""

    requests: Sequence[EncodeRequest]
    entry: LedgerEntry
    version: str | Expect
    watched_since: float = 0.0
    logged_at: float = 0.0
    state: str = ""

    @property
    def name(self) -> str:
        return called(self.requests[0].video.id)


class MediaConvertTranscoder(Transcoder):
    """Encodes with MediaConvert jobs from and to one S3Store.

    Args:
        role: the ARN of the role with which MediaConvert reads the source and writes the outputs.
        queue: a queue's name or ARN, or None for the account's default.
        timeout: the most seconds that a run waits for one job.
        bounds: the minutes of all jobs that are made in one UTC date stay within theirs. A video of unknown length is
            counted as the longest that they let pass.
        poll_seconds: the time between the first two status calls; later calls are up to 30 s apart.
    """

    def __init__(
        self,
        client: "MediaConvertClient",
        store: S3Store,
        profile: Profile,
        *,
        role: str,
        queue: str | None,
        timeout: float,
        bounds: EncodeBounds | None = None,
        poll_seconds: float = 2.0,
    ) -> None:
        self._client, self._store, self._profile = client, store, profile
        self._role, self._queue, self._timeout, self._poll_seconds = role, queue, timeout, poll_seconds
        self._bounds = bounds or EncodeBounds(max_seconds=_LONGEST)
        self._before_commit: Callable[[], None] = lambda: None

    def settings_hash(self) -> str:
        return mediaconvert_settings_hash(self._profile)

    def encode(
        self, requests: Sequence[EncodeRequest], *, before_commit: Callable[[], None] = lambda: None
    ) -> Generator[EncodeOutcome, None, None]:
        self._before_commit = before_commit
        same_bytes: dict[str, list[EncodeRequest]] = {}
        for request in requests:
            same_bytes.setdefault(request.video.sha256, []).append(request)
        under_way: dict[str, _Work] = {}
        intents: list[_Work] = []
        for group in same_bytes.values():
            before_commit()  # a run that lost its day asks for nothing more
            try:
                work = self._begin(group)
            except (BackupError, BotoCoreError, ClientError) as error:
                yield from _failures(group, error)
                continue
            if work.entry.is_over:
                yield from self._outcomes(work, is_new=False)
            elif work.entry.job_id is None:
                intents.append(work)
            else:
                under_way[work.entry.job_id] = work
        self._say_the_price(intents)
        for work in intents:
            before_commit()
            try:
                self._create(work)
            except EncodeRefused as refusal:
                yield from (EncodeOutcome(request, refusal) for request in work.requests)
            except (BackupError, BotoCoreError, ClientError) as error:
                yield from _failures(work.requests, error)
            else:
                if work.entry.job_id is None or work.entry.is_over:
                    yield from self._outcomes(work, is_new=False)
                else:
                    under_way[work.entry.job_id] = work
        yield from self._watch(under_way)

    def job_url(self, job_id: str) -> str:
        """The address of the job's page in AWS's console."""
        region = self._client.meta.region_name
        return f"{console(self._client)}/mediaconvert/home?region={region}#/jobs/summary/{job_id}"

    # ---- Submitting jobs ---------------------------------------------------------------------------------------------

    def _begin(self, requests: Sequence[EncodeRequest]) -> _Work:
        """The work for these requests of the same bytes: a result or a refusal in the ledger, a job under way, or an
        intent without a job, which `_create` makes."""
        request = requests[0]
        work, lacks = self._from_ledger(requests), None
        is_forced = any(request.force for request in requests)
        if work is None and not is_forced and (earlier := self._with_earlier_settings(requests)) is not None:
            return earlier
        if work is not None and work.entry.refused is not None and not is_forced:
            return work
        if work is not None and work.entry.result is not None:
            if not is_forced and self._is_stored(work.entry):
                return work
        elif work is not None and (job := self._find(work.entry)) is not None:
            if not is_forced and self._refuses(work, job):
                return work
            lacks = _lacks_sound(work.entry, job) or work.entry.lacks
            if job["Status"] not in _ENDED_BADLY:
                log.info(
                    "%s: MediaConvert job %s exists already and is taken over",
                    called(request.video.id),
                    job["Id"],
                )
                self._record(work, job_id=job["Id"])
                return work
        elif work is not None and work.entry.job_id is None:
            # The intent has no job that can be found. One may still be on its way, so the token stays the same.
            return work
        video = request.video
        entry = LedgerEntry(
            source_sha256=video.sha256,
            settings_hash=self.settings_hash(),
            source=self._store.uri(video.key),
            output_key=request.output_key,
            token=uuid4().hex,
            asked_at=datetime.now(UTC),
            lacks=lacks,
        )
        if work is not None:
            entry.keep_unknown(work.entry)
        intent = _Work(requests, entry, work.version if work else Expect.NOTHING)
        try:
            self._record(intent)
        except WriteConflict:
            # At this very moment a run of another day asked for the same bytes. Its intent counts.
            return self._begin(requests)
        return intent

    def _with_earlier_settings(self, requests: Sequence[EncodeRequest]) -> _Work | None:
        """What an earlier version of this project asked for these bytes, if it is done or still under way."""
        for settings_hash in _EARLIER_SETTINGS:
            work = self._from_ledger(requests, settings_hash)
            if work is None:
                continue
            if work.entry.result is not None:
                if self._is_stored(work.entry):
                    return work
            elif (job := self._find(work.entry)) is not None and job["Status"] not in _ENDED_BADLY:
                self._record(work, job_id=job["Id"])
                return work
        return None

    def _say_the_price(self, intents: Sequence[_Work]) -> None:
        if not intents:
            return
        minutes = sum(map(self._minutes, intents))
        unknown = sum(_billed(work) is None for work in intents)
        log.info(
            "%s for MediaConvert: about %.1f minutes at %s dollars are %.2f dollars%s",
            plural(len(intents), "job"),
            minutes,
            ENCODED_MINUTE,
            minutes * ENCODED_MINUTE,
            f"; {unknown} of unknown length counted as VIDEO_MAX_SECONDS" if unknown else "",
        )

    def _minutes(self, work: _Work) -> float:
        """What the work's job is billed for; where its length is not known, as much as is allowed."""
        longest = billed_minutes(work.requests[0].video.facts, seconds=self._bounds.max_seconds)
        return _billed(work) or longest or 0.0

    def _create(self, work: _Work) -> None:
        """Makes the job of an intent.

        Raises:
            EncodeRefused: it is more than this UTC date's minutes have left, or nothing that can be encoded.
        """
        request, entry = work.requests[0], work.entry
        video = request.video
        try:
            facts = facts_of(self._store, video)
        except Unreadable as error:
            raise EncodeRefused(f"it cannot be read as a video: {error}", kind="broken") from error
        if facts.picture is None:
            raise EncodeRefused("it has no picture that can be read", kind="broken")
        if self._bounds.max_minutes is not None:
            reserve(self._store, entry.token, self._minutes(work), most=self._bounds.max_minutes)
        destination, modifier = _destination(self._store.uri(entry.output_key))
        settings = mediaconvert_settings(
            self._profile,
            source=entry.source,
            destination=destination,
            name_modifier=modifier,
            facts=facts,
            with_sound=entry.lacks is None,
        )
        queue: dict[str, Any] = {"Queue": self._queue} if self._queue else {}
        job = self._client.create_job(
            ClientRequestToken=entry.token,
            Role=self._role,
            UserMetadata={
                _TOKEN: entry.token,
                # terraform/eventbridge.tf matches it, so that each deployment hears of its own jobs alone.
                _ARCHIVE: self._store.uri("")[:_LONGEST_METADATA],
                "ncaa_assets_source_sha256": entry.source_sha256,
                "ncaa_assets_settings": entry.settings_hash,
            },
            Settings=cast("Any", settings),  # a test checks it against botocore's model of the service
            **queue,
        )["Job"]
        log.info("%s: MediaConvert job %s submitted", work.name, job["Id"])
        self._record(work, job_id=job["Id"])

    def _find(self, entry: LedgerEntry) -> Mapping[str, Any] | None:
        """The job of an entry in whatever state, or None where there is none."""
        if entry.job_id is not None:
            try:
                return self._client.get_job(Id=entry.job_id)["Job"]
            except ClientError as error:
                if code_of(error) != "NotFoundException":
                    raise
                return None  # MediaConvert keeps jobs for three months
        return next((job for job in self._candidates(entry) if _token(job) == entry.token), None)

    def _candidates(self, entry: LedgerEntry) -> Iterator[Mapping[str, Any]]:
        """The jobs of an entry's source that the index has, and all that are too new for the index. No clock of ours
        decides where the one ends and the other begins."""
        search: dict[str, Any] = {"InputFile": entry.source[-_LONGEST_SEARCH:]}
        while True:
            page = self._client.search_jobs(**search)
            yield from page.get("Jobs", [])
            if not page.get("NextToken"):
                break
            search["NextToken"] = page["NextToken"]
        newest = None
        listing: dict[str, Any] = {"Order": "DESCENDING", "MaxResults": 20}
        while True:
            page = self._client.list_jobs(**listing)
            for job in page.get("Jobs", []):
                created = job.get("CreatedAt")
                newest = newest or created
                if newest and created and newest - created > _INDEXED_AFTER:  # both by MediaConvert's own clock
                    return
                yield job
            if not page.get("NextToken"):
                return
            listing["NextToken"] = page["NextToken"]

    # ---- Watching jobs -----------------------------------------------------------------------------------------------

    def _watch(self, under_way: dict[str, _Work]) -> Iterator[EncodeOutcome]:
        for work in under_way.values():
            work.watched_since = work.logged_at = time.monotonic()
        interval, bad_polls = self._poll_seconds, 0
        jobs = self._status(under_way)
        while under_way:
            time.sleep(interval * random.uniform(0.8, 1.2))  # noqa: S311 - jitter
            interval = min(max(_SLOWEST_POLL, self._poll_seconds), interval * 1.3)
            try:
                states = next(jobs)
                bad_polls = 0
            except (ClientError, BotoCoreError) as error:
                bad_polls += 1
                jobs = self._status(under_way)
                if not is_passing(error) or bad_polls >= _MOST_BAD_POLLS:
                    for work in under_way.values():
                        yield from _failures(
                            work.requests, error, "its job continues; run the day again to take it over"
                        )
                    return
                log.warning(
                    "the state of MediaConvert's jobs could not be read (%s); trying again", sentence(_SERVICE, error)
                )
                continue
            for job in states:
                watched = under_way.get(job["Id"])
                if watched is None or not self._is_over(watched, job):
                    continue
                del under_way[job["Id"]]
                if (again := self._without_sound(watched, job)) is not None and again.entry.job_id is not None:
                    under_way[again.entry.job_id] = again
                    jobs = self._status(under_way)
                else:
                    yield from self._finished(watched, job)
            yield from self._overdue(under_way)

    def _status(self, under_way: Mapping[str, _Work]) -> Iterator[Sequence[Mapping[str, Any]]]:
        """Yields the states of jobs, with one API call for each item: the newest jobs in pages of 20, back to the
        oldest job under way."""
        queue: dict[str, Any] = {"Queue": self._queue} if self._queue else {}
        while True:
            if len(under_way) == 1:
                yield [self._client.get_job(Id=next(iter(under_way)))["Job"]]
                continue
            left = set(under_way)
            listing: dict[str, Any] = {"Order": "DESCENDING", "MaxResults": 20, **queue}
            while left:
                page = self._client.list_jobs(**listing)
                jobs = page.get("Jobs", [])
                left -= {job["Id"] for job in jobs}
                yield jobs
                left &= set(under_way)
                if not page.get("NextToken"):
                    break
                listing["NextToken"] = page["NextToken"]
            if missing := next(iter(left), None):  # somebody moved the job to another queue
                yield [self._client.get_job(Id=missing)["Job"]]

    def _is_over(self, work: _Work, job: Mapping[str, Any]) -> bool:
        status = job["Status"]
        if status == "COMPLETE" or status in _ENDED_BADLY:
            return True
        percent, phase = job.get("JobPercentComplete"), job.get("CurrentPhase")
        state = f"{status.lower()}" + (f", {phase.lower()}" if phase else "") + (f", {percent} %" if percent else "")
        if state != work.state and (not work.state or time.monotonic() - work.logged_at >= _LOG_EVERY):
            work.state, work.logged_at = state, time.monotonic()
            log.info("encoding %s: %s (job %s)", work.name, state, job["Id"])
        return False

    def _overdue(self, under_way: dict[str, _Work]) -> Iterator[EncodeOutcome]:
        for job_id, work in list(under_way.items()):
            if time.monotonic() - work.watched_since >= self._timeout:
                del under_way[job_id]
                text = (
                    f"MediaConvert job {job_id} is not done after ENCODE_TIMEOUT ({self._timeout:.0f} s; "
                    f"{work.state or 'its state is not known'}). It goes on there: run the day again to take it over, "
                    f"or find out what holds up its queue: {self.job_url(job_id)}"
                )
                yield from (EncodeOutcome(request, EncodeFailed(text)) for request in work.requests)

    # ---- Finished jobs -----------------------------------------------------------------------------------------------

    def _without_sound(self, work: _Work, job: Mapping[str, Any]) -> _Work | None:
        """Another job for a source whose sound cannot be read, without it; None where that is not what went wrong.
        Where it cannot be made now, the next run makes it."""
        if _lacks_sound(work.entry, job) is None:
            return None
        try:
            again = self._begin(work.requests)
            if again.entry.job_id is None and not again.entry.is_over:
                self._create(again)
        except (BackupError, BotoCoreError, ClientError) as error:
            log.warning("%s: no job without its sound could be made: %s", work.name, sentence(_SERVICE, error))
            return None
        again.watched_since = again.logged_at = time.monotonic()
        return again

    def _refuses(self, work: _Work, job: Mapping[str, Any]) -> bool:
        """Whether a job says that these bytes can never be encoded with these settings; then that is recorded."""
        if job["Status"] != "ERROR" or _lacks_sound(work.entry, job) is not None:
            return False
        code, message = job.get("ErrorCode"), visible(job.get("ErrorMessage", "no message"), most=160)
        # The one code for a file that is not there, not allowed or not understood.
        is_clips = code in (_CLIPS_FAULT if work.entry.lacks is None else _CLIPS_FAULT | _SOUNDS_FAULT)
        if not is_clips and not (code == 1010 and "parser" in message.lower()):
            return False
        work.entry.refused = f"MediaConvert cannot encode it: {message} (error {code} of job {job['Id']})"
        self._record(work)
        return True

    def _finished(self, work: _Work, job: Mapping[str, Any]) -> Iterator[EncodeOutcome]:
        try:
            if not self._refuses(work, job):
                if job["Status"] in _ENDED_BADLY:
                    raise EncodeFailed(self._what_went_wrong(job))
                entry = work.entry
                entry.result, entry.output_version = self._result(work, job)
                if (short := self._too_short(work, entry.result)) is not None:
                    entry.refused, entry.result, entry.output_version = short, None, None
                self._record(work)
        except (BackupError, NotWhole, Unreadable) as error:
            yield from _failures(work.requests, error)
            return
        yield from self._outcomes(work, is_new=True)

    def _too_short(self, work: _Work, result: ProcessedVideo) -> str | None:
        """Why an output is not the whole of its source; then it is removed."""
        facts = work.requests[0].video.facts
        short = too_short(facts, result.facts) if facts and result.facts else None
        if short is not None:
            for key in (result.key, result.poster.key):
                self._store.delete(key)
        return short

    def _what_went_wrong(self, job: Mapping[str, Any]) -> str:
        url = self.job_url(job["Id"])
        if job["Status"] == "CANCELED":
            return f"MediaConvert job {job['Id']} was canceled; run the day again to encode the video after all: {url}"
        return (
            f"MediaConvert job {job['Id']} failed with error {job.get('ErrorCode', 'without a number')}: "
            f"{visible(job.get('ErrorMessage', 'no message'), most=400)} ({url}); fix that, then run "
            "the day again (a failed job is not billed)"
        )

    def _result(self, work: _Work, job: Mapping[str, Any]) -> tuple[ProcessedVideo, str]:
        """The finished output, which is read to its end, and its version.

        Raises:
            EncodeFailed: the output or its poster is missing. The entry is deleted, so that the next run encodes again.
            NotWhole: the output is not whole. The entry is deleted too.
        """
        entry, video = work.entry, work.requests[0].video
        base = entry.output_key.removesuffix(".mp4")
        output = self._store.info(entry.output_key)
        posters = [
            image for image in self._store.list(f"{base}.") if re.fullmatch(re.escape(base) + r"\.\d+\.jpg", image.key)
        ]
        try:
            if output is None or not posters:
                raise EncodeFailed(
                    f"MediaConvert job {job['Id']} is complete, but "
                    f"{self._store.uri(entry.output_key if output is None else f'{base}.0000000.jpg')} is not there; "
                    f"run the day again to encode the video again ({self.job_url(job['Id'])})"
                )
            with self._store.download(entry.output_key) as file:
                _, sha256 = read_movie(file)
            with self._store.open_seekable(entry.output_key) as file:
                facts = read_facts(file, size=output.size)
        except (EncodeFailed, NotWhole, Unreadable):
            self._forget(work)
            raise
        timing = job.get("Timing", {})
        seconds = (
            max(0.0, (timing["FinishTime"] - timing["SubmitTime"]).total_seconds())
            if "FinishTime" in timing and "SubmitTime" in timing
            else 0.0
        )
        result = ProcessedVideo.of(
            video,
            facts,
            settings_hash=entry.settings_hash,
            key=output.key,
            bytes=output.size,
            sha256=sha256,
            poster=Poster(key=posters[0].key, bytes=posters[0].size),
            encoder="MediaConvert",
            job_id=job["Id"],
            job_url=self.job_url(job["Id"]),
            encode_seconds=seconds,
            lacks=entry.lacks,
        )
        return result, output.version

    def _outcomes(self, work: _Work, *, is_new: bool) -> Iterator[EncodeOutcome]:
        """Yields an outcome for each request. The request that the result was made for gets the result itself. Requests
        of another day, or of another highlight with the same bytes, get a copy of it under their own keys."""
        if work.entry.refused is not None:
            refusal = EncodeRefused(work.entry.refused, kind="broken")
            yield from (EncodeOutcome(request, refusal) for request in work.requests)
            return
        result = work.entry.result
        assert result is not None  # noqa: S101 - the callers checked this
        for request in work.requests:
            is_own = request.output_key == result.key
            try:
                output = result if is_own else self._copied(result, request)
            except StoreError as error:
                yield from _failures([request], error)
                continue
            video = request.video
            output = output.model_copy(update={"id": video.id, "title": video.title, "source_key": video.key})
            yield EncodeOutcome(request, output, reused=not (is_new and is_own))

    def _copied(self, result: ProcessedVideo, request: EncodeRequest) -> ProcessedVideo:
        self._before_commit()
        output = self._store.copy(result.key, request.output_key)
        poster = self._store.copy(result.poster.key, request.poster_key)
        return result.model_copy(
            update={
                "key": output.key,
                "poster": result.poster.model_copy(update={"key": poster.key, "bytes": poster.size}),
            }
        )

    # ---- The ledger --------------------------------------------------------------------------------------------------

    def _from_ledger(self, requests: Sequence[EncodeRequest], settings_hash: str | None = None) -> _Work | None:
        sha256, settings = requests[0].video.sha256, settings_hash or self.settings_hash()
        key = _ledger_key(sha256, settings)
        try:
            data, version = self._store.read(key)
        except ObjectMissing:
            return None
        entry = from_bytes(
            LedgerEntry,
            data,
            self._store.uri(key),
            expected={"source_sha256": sha256, "settings_hash": settings},
            otherwise="; if there is none, delete it: the video is then encoded again",
        )
        return _Work(requests, entry, version)

    def _record(self, work: _Work, *, job_id: str | None = None) -> None:
        work.entry.job_id = job_id or work.entry.job_id
        key = _ledger_key(work.entry.source_sha256, work.entry.settings_hash)
        while True:
            data = to_bytes(work.entry)
            try:
                work.version = self._store.write(key, data, expect=work.version)
            except WriteConflict:
                # A run of another day with the same bytes may be watching the same job. Then its intent is the same.
                theirs = self._from_ledger(work.requests, work.entry.settings_hash)
                if theirs is None or theirs.entry.token != work.entry.token:
                    raise
                work.version = theirs.version
                work.entry.keep_unknown(theirs.entry)
                if theirs.entry.is_over:
                    work.entry = theirs.entry
                    return
            else:
                return

    def _forget(self, work: _Work) -> None:
        key = _ledger_key(work.entry.source_sha256, work.entry.settings_hash)
        self._store.delete(key, expect=work.version)

    def _is_stored(self, entry: LedgerEntry) -> bool:
        if entry.result is None:
            return False
        output = self._store.info(entry.result.key)
        return (
            output is not None
            and output.version == entry.output_version
            and self._store.info(entry.result.poster.key) is not None
        )


_SERVICE = "MediaConvert"


def _ledger_key(sha256: str, settings_hash: str) -> str:
    return f"{LEDGER}{sha256}.{settings_hash}.json"


def _failures(requests: Iterable[EncodeRequest], error: Exception, then: str = "") -> Iterator[EncodeOutcome]:
    text = str(error) if isinstance(error, BackupError | NotWhole | Unreadable) else sentence(_SERVICE, error)
    for request in requests:
        yield EncodeOutcome(request, EncodeFailed(f"{text}; {then}" if then else text))


def _billed(work: _Work) -> float | None:
    video = work.requests[0].video
    return billed_minutes(video.facts, seconds=video.duration_seconds)


def _lacks_sound(entry: LedgerEntry, job: Mapping[str, Any]) -> str | None:
    """What a second job for a source would lack: its sound, where that is what the first could not read."""
    if entry.lacks is not None or job["Status"] != "ERROR" or job.get("ErrorCode") not in _SOUNDS_FAULT:
        return None
    message = visible(job.get("ErrorMessage", "no message"), most=200)
    return f"its sound cannot be read: {message} (MediaConvert's error {job['ErrorCode']})"


def _token(job: Mapping[str, Any]) -> str | None:
    token: str | None = job.get("UserMetadata", {}).get(_TOKEN)
    return token


def _destination(output: str) -> tuple[str, str]:
    """An output's address as MediaConvert takes it: the part up to the first dot of the name, and the rest of the name
    without its ending. A dot in a destination could be read as the start of an ending."""
    folder, _, name = output.removesuffix(".mp4").rpartition("/")
    base, dot, rest = name.partition(".")
    return f"{folder}/{base}", dot + rest
