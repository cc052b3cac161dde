"""A hydraulic press as a Modbus TCP device made with pymodbus: unit 1, holding registers 0 to 39.

Usage: pymodbus-press.py PORT. A cycle of 20 s moves load, flow and current; temperatures follow slowly. Register 39 injects a fault: 1 freezes
the load, 2 overheats the oil, 0 ends it.
"""

import asyncio
import math
import random
import struct
import sys
import time

from pymodbus.server import StartAsyncTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

FAULT = 39
noise = random.Random(7)
begin = time.monotonic()


def float32(value):
    return list(struct.unpack(">HH", struct.pack(">f", value)))


def uint32(value):
    return [value >> 16 & 0xFFFF, value & 0xFFFF]


def image(t, fault):
    phase = t % 20
    runs = phase < 17
    load = 80 + 30 * math.sin(2 * math.pi * phase / 20) + noise.gauss(0, 0.8) if runs else 2 + noise.gauss(0, 0.2)
    oil = 46 + 3 * math.sin(2 * math.pi * t / 300) + noise.gauss(0, 0.1) + (12 if fault == 2 else 0)
    current = 14 + 0.22 * load + noise.gauss(0, 0.3)
    power = current * 0.69
    status = 0b0101 if runs else 0b1000
    return [
        *float32(load),  # 0: kN
        *float32(0.25 * load + noise.gauss(0, 0.2)),  # 2: l/min
        *float32(oil),  # 4: degrees Celsius
        *float32(oil - 8 + noise.gauss(0, 0.1)),  # 6: degrees Celsius
        round(current * 10),  # 8: 0.1 A
        round(1450 + noise.gauss(0, 2)) if runs else 0,  # 9: rpm
        status,  # 10: bit 0 running, 2 pump on, 3 waiting
        -2 & 0xFFFF,  # 11: exponent of register 12
        round(power * 100),  # 12: kW
        0,
        *uint32(int(t / 20)),  # 14: parts
        *uint32(int(t * 3)),  # 16: Wh
        65, 200, 400, 1450, 3, 12,  # 18 to 23: settings
    ]


async def refresh(_function, _start, _address, _count, registers, values):
    if values is None:
        now = image(time.monotonic() - begin, registers[FAULT])
        first = 2 if registers[FAULT] == 1 else 0
        registers[first : len(now)] = now[first:]


bits = [SimData(9000, values=[False] * 16, datatype=DataType.BITS)]
inputs = [SimData(9000, values=0, datatype=DataType.REGISTERS)]
holding = [SimData(0, values=[0] * 40, datatype=DataType.REGISTERS)]
press = SimDevice(id=1, simdata=(bits, bits, holding, inputs), action=refresh)
asyncio.run(StartAsyncTcpServer([press], address=("127.0.0.1", int(sys.argv[1]))))
