"""Runs tests for `mutants.py`, a process for each request: what takes long to import is there.

The arguments are the modules to import. It reads a line of JSON a request from its input: folder,
environ, arguments of pytest, a log, and a limit in seconds of processor. It answers with a line,
the exit status: null if the limit was over.
"""

import importlib
import json
import os
import signal
import sys
import time

import psutil
import pytest

WAITS = 30  # seconds for each second of processor, on a machine with much else to do


def run(request):
    """Run pytest in this process, which is one of its own."""
    os.environ.clear()
    os.environ.update(request["environ"])
    os.chdir(request["folder"])
    sys.path[:0] = [request["folder"]]
    sys.argv = ["pytest", *request["arguments"]]
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    return int(pytest.main(request["arguments"]))


def family(child):
    """Return a child process, and all that came of it."""
    process = psutil.Process(child)
    return [process, *process.children(recursive=True)]


def used(child):
    """Return the seconds of processor that a child process and those that came of it have used."""
    total = 0.0
    for process in family(child):
        try:
            total += sum(process.cpu_times()[:4])  # its own, and of its children that have ended
        except psutil.Error:
            continue
    return total


def wait(child, seconds):
    """Return the exit status of a child process, or None after so many seconds of processor.

    Other work on the machine is not its fault; but what waits for ever uses none.
    """
    end, look = time.monotonic() + WAITS * seconds, 0.0
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > look:  # it goes through all processes of the machine
            if used(child) > seconds:
                break
            look = time.monotonic() + 2
        time.sleep(0.03)
    return None


def stop(child):
    """End a child process, and all that came of it."""
    for process in reversed(family(child)):
        try:
            process.kill()
        except psutil.Error:
            continue
    os.waitpid(child, 0)


def main():
    """Answer requests until there are no more."""
    for name in sys.argv[1:]:
        importlib.import_module(name)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who asks ends this by closing its input
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if not child:
            code = 99
            try:
                signal.signal(signal.SIGINT, signal.default_int_handler)
                code = run(request)
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        status = wait(child, request["seconds"])
        if status is None:
            stop(child)
        print(json.dumps(status), flush=True)


if __name__ == "__main__":
    main()
