"""Where the program begins. Its commands take most of a second to import, and Ctrl-C in that time ends it without a
traceback; from then on each command says how it ended (`ending.py`)."""

import signal


def start() -> None:
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from ncaa_assets.commands.main import main  # noqa: PLC0415 - only now, see above

    main()
