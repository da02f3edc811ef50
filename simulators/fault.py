"""Faults that are put into a simulated meter, each labelled. A function takes register readings and returns new ones; nothing is changed in place.

Readings are int64 Wh at half-hour edges, 0 up to the meter's modulus (exclusive), `NOT_READ` where there is none. Edges are counted from 0.
"""

import numpy as np
import numpy.typing as npt

Readings = npt.NDArray[np.int64]
NOT_READ = -1


def booked(registers: Readings, *, edge: int, energy_wh: int, modulus_wh: int) -> Readings:
    """Energy that was never made is booked before this edge, and stays in the register: a spike, or generation at night."""
    return _shifted(registers, edge, energy_wh, modulus_wh)


def booked_nightly(registers: Readings, *, edges: range, energy_wh: int, modulus_wh: int) -> Readings:
    """The same amount booked before each of these edges."""
    for edge in edges:
        registers = booked(registers, edge=edge, energy_wh=energy_wh, modulus_wh=modulus_wh)
    return registers


def crept_back(registers: Readings, *, edges: range, energy_wh: int, modulus_wh: int) -> Readings:
    """A meter without backstop runs backwards by a little before each of these edges."""
    return booked_nightly(registers, edges=edges, energy_wh=-energy_wh, modulus_wh=modulus_wh)


def glitched(registers: Readings, *, edge: int) -> Readings:
    """One reading is 0; the next is right again."""
    out = registers.copy()
    out[edge] = 0
    return out


def reset(registers: Readings, *, edge: int, modulus_wh: int) -> Readings:
    """From this edge on the register counts anew from 0, and nobody wrote it down."""
    if registers[edge] == NOT_READ:
        raise ValueError(f"edge {edge} was not read: a register can not be seen to restart there")
    return _shifted(registers, edge, -int(registers[edge]), modulus_wh)


def unread(registers: Readings, *, edges: range) -> Readings:
    """These edges were not read; the register counted on, so that the next reading brings all in one lump."""
    out = registers.copy()
    out[edges.start : edges.stop] = NOT_READ
    return out


def _shifted(registers: Readings, edge: int, energy_wh: int, modulus_wh: int) -> Readings:
    out = registers.copy()
    late = out[edge:]
    late[late != NOT_READ] = (late[late != NOT_READ] + energy_wh) % modulus_wh
    return out
