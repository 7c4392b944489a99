"""Dagster's database migrations, read once a process: Alembic reads some ninety files of them five times for a new
instance, which is half of the time that making one takes.

Importing this module is enough. The migrations stay the same, and nothing in `ncaa_assets` knows of it.
"""

import functools

from alembic.config import Config
from alembic.script import ScriptDirectory

_read = ScriptDirectory.from_config


@functools.cache
def _of(location: str | None, config_file: str | None) -> ScriptDirectory:
    config = Config(config_file)
    if location is not None:
        config.set_main_option("script_location", location)
    return _read(config)


def _from_config(config: Config) -> ScriptDirectory:
    return _of(config.get_main_option("script_location"), str(config.config_file_name))


ScriptDirectory.from_config = _from_config  # type: ignore[method-assign]
