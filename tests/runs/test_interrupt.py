"""Signals wait until a run has saved; two starts in one folder; the lock goes with the process."""

import os
import signal
import subprocess
import sys
import threading

import jax
import pytest
from helpers import feed, first_quick, same, solver

import mixgan_jax as mg
from mixgan_jax.runs.interrupt import deferred_signals
from mixgan_jax.storage.lock import lock_folder

KEY = jax.random.key(7)
OPTIONS = {"num_steps": 14, "log_every": 2, "save_every": 6}


def at(step, act):
    """``on_log`` that acts at a step."""
    return lambda now, _: act() if now == step else None


def send(number):
    return lambda: os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("step", first_quick([2, 6, 8]))
def test_a_signalled_run_saves_where_it_is_and_ends_like_an_uninterrupted_one(
    tmp_path, number, step
):
    whole = mg.fit(KEY, solver(), feed(), folder=tmp_path / "whole", **OPTIONS)
    before = signal.getsignal(number)
    with pytest.raises(mg.Interrupted) as caught:
        mg.fit(
            KEY, solver(), feed(), folder=tmp_path / "cut", on_log=at(step, send(number)), **OPTIONS
        )
    assert signal.getsignal(number) is before
    # The log is looked at while the next entry is being computed.
    assert (caught.value.signal, caught.value.step) == (number, step + 2)
    assert f"stopped by {number.name} after step {step + 2}, which is saved in" in str(caught.value)
    seen = []
    resumed = mg.fit(
        KEY,
        solver(),
        feed(),
        folder=tmp_path / "cut",
        on_log=lambda step, _: seen.append(step),
        **OPTIONS,
    )
    assert seen == list(range(step + 4, 15, 2))
    assert same(resumed, whole)
    logs = [(tmp_path / name / "metrics.jsonl").read_bytes() for name in ("whole", "cut")]
    assert logs[0] == logs[1]


def test_a_second_signal_stops_at_once(tmp_path):
    def twice():
        send(signal.SIGINT)()
        send(signal.SIGINT)()

    with pytest.raises(KeyboardInterrupt, match="SIGINT came twice") as caught:
        mg.fit(KEY, solver(), feed(), folder=tmp_path, on_log=at(4, twice), **OPTIONS)
    assert not isinstance(caught.value, mg.Interrupted)


def test_a_signal_that_nobody_acted_on_is_sent_again():
    with pytest.raises(KeyboardInterrupt), deferred_signals() as inbox:
        send(signal.SIGINT)()
        assert inbox.signal is signal.SIGINT


def test_ignored_signals_stay_ignored_and_other_threads_are_left_alone():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with deferred_signals() as inbox:
            send(signal.SIGINT)()
            assert inbox.signal is None
    finally:
        signal.signal(signal.SIGINT, before)
    failures = []

    def enter():
        try:
            with deferred_signals():
                pass
        except ValueError as error:
            failures.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert not failures


def test_a_second_start_in_the_folder_is_refused_and_the_first_goes_on(tmp_path):
    def start_again():
        with pytest.raises(mg.FolderInUseError, match=f"in use by process {os.getpid()} on "):
            mg.fit(KEY, solver(), feed(), folder=tmp_path, **OPTIONS)

    state = mg.fit(KEY, solver(), feed(), folder=tmp_path, on_log=at(4, start_again), **OPTIONS)
    assert same(state, mg.fit(KEY, solver(), feed(), num_steps=14, log_every=2))


def test_a_killed_process_lets_go_of_the_folder(tmp_path):
    program = (
        "import sys, time\n"
        "from mixgan_jax.storage.lock import lock_folder\n"
        "with lock_folder(sys.argv[1]):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(60)\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(mg.FolderInUseError, match=f"process {holder.pid} on"):
            lock_folder(tmp_path).__enter__()
    finally:
        holder.kill()
        holder.wait()
    with lock_folder(tmp_path):
        assert (tmp_path / "lock").read_text().startswith(f"process {os.getpid()} on ")
