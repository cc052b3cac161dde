"""A Modbus device made with pymodbus: ASCII or RTU frames over TCP, or Modbus TCP over TLS.

Usage: pymodbus-server.py PORT FRAMER [CERT KEY CA]. Holding register n has the value n * 3.
"""

import asyncio
import ssl
import sys

from pymodbus import FramerType
from pymodbus.datastore import ModbusSequentialDataBlock, ModbusServerContext, ModbusDeviceContext
from pymodbus.server import StartAsyncTcpServer, StartAsyncTlsServer

port, framer, *files = sys.argv[1:]
block = ModbusSequentialDataBlock(1, [n * 3 for n in range(200)])
context = ModbusServerContext(devices=ModbusDeviceContext(hr=block, ir=block), single=True)
address = ("127.0.0.1", int(port))


async def serve():
    if files:
        cert, key, ca = files
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(cert, key)
        tls.load_verify_locations(ca)
        tls.verify_mode = ssl.CERT_REQUIRED
        await StartAsyncTlsServer(context, address=address, sslctx=tls, framer=FramerType(framer))
    else:
        await StartAsyncTcpServer(context, address=address, framer=FramerType(framer))


asyncio.run(serve())
