"""Runs a program that can connect to nothing: `python -m tests.make.air_gap PROGRAM ...`.

The system refuses every connect(), and every datagram sent to an address, of it and of its children, whatever library
asks; it may listen and accept, and answer who connected. It takes no rights: a process may always give up its own.
"""

import ctypes
import os
import struct
import sys

_NUMBERS = {  # what the kernel calls it, its numbers of connect and sendto
    "x86_64": (0xC000003E, 42, 44),
    "aarch64": (0xC00000B7, 203, 206),
}
_TO = 16 + 8 * 4  # where sendto's fifth argument, the address or nothing, stands
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | 1  # 1: EPERM
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def cut_off() -> None:
    """Let no connect() of this process or its children succeed from now on."""
    architecture, connect, send = _NUMBERS[os.uname().machine]
    steps = (  # a jump names how many steps to skip where it is so, and where it is not
        (_LOAD, 0, 0, 4),  # the architecture
        (_EQUAL, 0, 8, architecture),
        (_LOAD, 0, 0, 0),  # the number of the call
        (_EQUAL, 5, 0, connect),
        (_EQUAL, 0, 5, send),
        (_LOAD, 0, 0, _TO),
        (_EQUAL, 0, 2, 0),
        (_LOAD, 0, 0, _TO + 4),  # the upper half of the pointer
        (_EQUAL, 1, 0, 0),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    )
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = _Program(len(steps), ctypes.addressof(code))
    system = ctypes.CDLL(None, use_errno=True)
    if system.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) or system.prctl(_SET_SECCOMP, _FILTER, ctypes.byref(program)):
        raise OSError(ctypes.get_errno(), "the system would not let it go")


if __name__ == "__main__":
    cut_off()
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 - the very program of the test
