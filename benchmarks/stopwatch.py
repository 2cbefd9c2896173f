"""Time and memory of functions, measured so that one noisy minute of the machine does not fall on one of them."""

import ctypes
import statistics
import time


def in_turns(functions, seconds, turns=7):
    """Milliseconds of a call, wall and CPU: medians over turns, in each of which every function runs for a while.

    The functions must have been called before. Between them there is a pause, because the threads of some libraries go
    on spinning for a while, and each turn begins with another of them, so that none always follows the same one.
    """
    counts = {}
    for name, function in functions.items():
        started = time.perf_counter()
        function()
        counts[name] = max(1, int(seconds / turns / (time.perf_counter() - started)))
    spent = {name: [] for name in functions}
    for turn in range(turns):
        first = turn % len(functions)
        for name, function in [*functions.items()][first:] + [*functions.items()][:first]:
            time.sleep(0.02)
            wall, cpu = time.perf_counter(), time.process_time()
            for _ in range(counts[name]):
                function()
            spent[name].append(
                [(time.perf_counter() - wall) / counts[name], (time.process_time() - cpu) / counts[name]]
            )
    return {
        name: dict(
            zip(("wall", "cpu"), (round(1e3 * statistics.median(c), 3) for c in zip(*rows, strict=True)), strict=True)
        )
        for name, rows in spent.items()
    }


def first_call(function):
    """Seconds of a call that may trace and compile."""
    started = time.perf_counter()
    function()
    return round(time.perf_counter() - started, 2)


def give_back_free_memory():
    """What is free, but held by this process for its next allocation, goes back to the system (glibc)."""
    ctypes.CDLL("libc.so.6").malloc_trim(0)


def added_megabytes(function, calls=3):
    """How far some calls raise the peak of this process's memory above what it is now (Linux)."""
    before = _of_this_process("VmRSS")
    return round(peak_megabytes(function, calls) - before, 1)


def peak_megabytes(function, calls=3):
    """The most memory that this process holds during some calls (Linux)."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak so far is forgotten
    for _ in range(calls):
        function()
    return _of_this_process("VmHWM")


def _of_this_process(entry):
    """Megabytes, from `/proc/self/status`."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(f"{entry}:")) / 1024
