"""Dagster's daemon, whose log is safe to print: it quotes the errors of runs, sensors and schedules, and with them what
strangers wrote. `python -m ncaa_assets.runs.daemon run …` takes what `dagster-daemon` takes.
"""

from ncaa_assets.logs import make_logs_safe
from ncaa_assets.settings import heed_aws_region


def main() -> None:
    make_logs_safe()
    heed_aws_region()
    from ncaa_assets.runs.dagster_private import daemon_main  # noqa: PLC0415 - what it imports may log

    daemon_main()


if __name__ == "__main__":
    main()
