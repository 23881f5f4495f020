"""A process is never taken for another one that got its number, and a zombie is dead."""

import os
import subprocess
import sys
import time

import pytest

from mtl_core.jobs.identity import identify, is_alive, machine, pid_of


def test_this_process_is_alive_and_names_itself():
    identity = identify()
    assert identity == identify(os.getpid())
    assert is_alive(identity) is True
    assert pid_of(identity) == os.getpid()


def test_two_processes_differ():
    with subprocess.Popen(["sleep", "30"]) as process:
        assert is_alive(identify(process.pid)) is True
        assert identify(process.pid) != identify()
        process.kill()


def test_a_killed_process_is_dead_even_before_it_is_collected():
    with subprocess.Popen(["sleep", "30"]) as process:
        identity = identify(process.pid)
        process.kill()
        until = time.monotonic() + 5
        while is_alive(identity) and time.monotonic() < until:
            time.sleep(0.01)
        assert os.path.exists(f"/proc/{process.pid}"), "it is a zombie now: still in the list of processes"
        assert is_alive(identity) is False
        assert identify(process.pid) is None
    assert is_alive(identity) is False


def test_a_number_given_out_again_is_another_process():
    place, pid, start = identify().rsplit(":", 2)
    assert is_alive(f"{place}:{pid}:{int(start) - 1}") is False
    assert is_alive(f"{place}:1:{start}") is False


def test_a_name_with_brackets_and_spaces_is_no_trap(tmp_path):
    program = tmp_path / "a) S 1 (b"
    program.symlink_to(sys.executable)
    with subprocess.Popen([str(program), "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert is_alive(identify(process.pid)) is True
        process.stdin.write(b"\n")


def test_of_another_machine_nobody_can_tell():
    assert is_alive(f"00000000-1111-2222-3333-444444444444-4026531836:{os.getpid()}:12345") is None


@pytest.mark.parametrize(
    "nonsense", ["", ":", "::", "a:b:c", f"{machine()}:-1:5", f"{machine()}:99999999999999999999:5", "x" * 5000]
)
def test_nonsense_is_nobody(nonsense):
    assert not is_alive(nonsense)
    assert pid_of(nonsense) is None
