"""What `ncaa-assets doctor` asks of a store that speaks S3's protocol: whether a backup may go there, and what stands
for what the store lacks."""

from collections.abc import Iterator

from ncaa_assets import advice
from ncaa_assets.backends.s3.store import CompatibleStore
from ncaa_assets.checkup import Line, Mark
from ncaa_assets.ports import ObjectStore


def examine_store(store: ObjectStore) -> Iterator[Line]:
    """What the store can do, which a small object shows that is removed again.

    Raises:
        SettingsError: no backup may go there, or there are no credentials.
        StoreError: the store cannot be used.
    """
    if not isinstance(store, CompatibleStore):
        raise TypeError("the doctor of an s3 deployment examines its store")
    found = store.check()
    instead = [
        *([] if found.deletes_conditionally else ["a delete that expects a version leaves a mark"]),
        *([] if found.refuses_missing else ["a write that expects a version looks for the object first"]),
        *([] if found.keeps_versions else ["earlier versions of documents are copied to .history/"]),
    ]
    text = f"{store.place} can be written, read and deleted in, under conditions"
    if found.keeps_versions:
        text += ", and keeps versions"
    lacking = f"; for what it lacks: {', '.join(instead)}" if instead else ""
    evidence = {
        "deletes_conditionally": found.deletes_conditionally,
        "refuses_missing": found.refuses_missing,
        "keeps_versions": found.keeps_versions,
        "verifies": found.verifies,
    }
    yield Line(Mark.OK, "store", text + lacking, evidence)
    if not found.verifies:
        text = "it stores what does not have the MD5 that it was sent with: damage shows only when the object is read"
        yield Line(Mark.WARN, "store", f"{text}; run `{advice.command('verify', '--deep')}` now and then", evidence)
