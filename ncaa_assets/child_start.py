"""What runs for a moment between `child.Child` and its program: it sets the bounds, then becomes the program.

A file of its own, because it is run as a script by an interpreter without site-packages (some 0.03 s, measured): what a
process may only do to itself would else have to happen between fork and exec in a process with threads, where Python
code may hang (`preexec_fn`). Imports nothing that takes time.

Arguments: the process that the program must not outlive, the descriptor on which a failed start is reported as its
`errno`, the bounds as `RLIMIT_…=number` separated by commas, the program and its arguments.
"""

import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(parent: int, report: int, bounds: str, command: list[str]) -> None:
    """Becomes the program; returns only where that fails, with the reason written to `report`."""
    try:
        for name, _, most in (bound.partition("=") for bound in bounds.split(",") if bound):
            _limit(getattr(resource, name), int(most))
        if sys.platform == "linux":
            _end_with(parent)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and what is ignored stays so
            signal.signal(number, signal.SIG_DFL)
        os.set_inheritable(report, False)
        os.execv(command[0], command)  # noqa: S606 - the caller's program, in the environment that it was given
    except OSError as error:
        os.write(report, str(error.errno or 0).encode())


def _limit(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (most, most))


def _end_with(parent: int) -> None:
    import ctypes  # noqa: PLC0415 - what only Linux has

    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before this was asked for
        os._exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
    sys.exit(127)
