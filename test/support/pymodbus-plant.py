"""A Modbus TCP gateway made with pymodbus, with an identification, units 3 and 7, and holes in their registers.

Usage: pymodbus-plant.py PORT. Unit 3: holding 0-9 and 40-51, input 100-104. Unit 7: holding 7. Register n has the value 10 * n.
"""

import asyncio
import sys

from pymodbus import ModbusDeviceIdentification
from pymodbus.server import StartAsyncTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice


def registers(*ranges):
    return [
        SimData(n, values=10 * n, datatype=DataType.REGISTERS) for first, last in ranges for n in range(first, last + 1)
    ]


bits = [SimData(9000, values=[False] * 16, datatype=DataType.BITS)]
far = [SimData(9000, values=1, datatype=DataType.REGISTERS)]
identity = ModbusDeviceIdentification(info_name={"VendorName": "Acme", "ProductCode": "P-7", "MajorMinorRevision": "1.4"})
units = [
    SimDevice(id=3, simdata=(bits, bits, registers((0, 9), (40, 51)), registers((100, 104))), identity=identity),
    SimDevice(id=7, simdata=(bits, bits, registers((7, 7)), far), identity=identity),
]
asyncio.run(
    StartAsyncTcpServer(units, identity=identity, address=("127.0.0.1", int(sys.argv[1])), ignore_missing_devices=True)
)
