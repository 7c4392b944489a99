"""The gallery in every store: the same pages, as types that browsers show, and several publications at once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import pytest

from ncaa_assets.backends.local.store import LocalStore
from ncaa_assets.gallery.publish import is_published, publish, rebuild
from ncaa_assets_tests.archives import archive_in
from ncaa_assets_tests.backends.test_contracts import BACKENDS, BUCKET, Backend, backend
from ncaa_assets_tests.gallery.archives import Game, gallery_of, remove_day, write_day

__all__ = ["backend"]

DAYS = ["2024-01-05", "2025-03-08", "2025-03-09", "2025-03-10"]


@pytest.mark.slow
def test_days_published_at_once_are_the_same_pages_in_every_store(backend: Backend, tmp_path: Path) -> None:
    local = archive_in(LocalStore(tmp_path / "local"))
    stores = [backend.store for _ in DAYS]
    archives = [archive_in(store, backend.table) for store in stores]
    for number, day in enumerate(DAYS):
        for store in (local.store, stores[0]):
            write_day(store, day, [Game("1"), Game("2", home=f"Team {number}")])
    with ThreadPoolExecutor(len(DAYS)) as pool:
        list(pool.map(lambda one: publish(one[0], [one[1]]), zip(archives, DAYS, strict=True)))
    rebuild(local)
    assert all(is_published(archives[0], day) for day in DAYS)
    assert _pages(gallery_of(stores[0])) == _pages(gallery_of(local.store))
    for store in (local.store, stores[0]):
        remove_day(store, DAYS[1])
    publish(archives[0], [DAYS[1]])
    rebuild(local)
    assert _pages(gallery_of(stores[0])) == _pages(gallery_of(local.store))


@pytest.mark.parametrize("backend", [name for name in BACKENDS if name == "aws"], indirect=True)
def test_a_browser_is_told_what_each_object_is(backend: Backend) -> None:
    archive = archive_in(backend.store, backend.table)
    write_day(archive.store, DAYS[0], [Game("1")])
    publish(archive, DAYS[:1])
    heads = {
        key: boto3.client("s3").head_object(Bucket=BUCKET, Key=f"{backend.prefix}/{key}")["ContentType"]
        for key in gallery_of(archive.store)
    }
    types = {key.rpartition(".")[2]: kind for key, kind in heads.items()}
    assert types == {
        "html": "text/html; charset=utf-8", "css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8",
        "json": "application/json", "svg": "image/svg+xml", "txt": "text/plain; charset=utf-8",
    }  # fmt: skip


def _pages(gallery: dict[str, bytes]) -> dict[str, bytes]:
    """Without the journals, which name documents by their bytes: the stores' differ in when they were written."""
    return {key: data for key, data in gallery.items() if not key.endswith(".json")}
