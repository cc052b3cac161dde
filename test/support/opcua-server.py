"""An OPC UA server made with asyncua.

The first argument is a JSON object: `port`, `uris` (namespaces in their order), `security` (Basic256Sha256 and
Aes256_Sha256_RsaPss with a certificate of its own in `folder`, else None), `users` (names and passwords, else anonymous),
`tickMs` (interval at which Line.Tick counts).

Prints `ready`. Each input line is a JSON object with a node's `node`, `value`, `type`, `status` and `time` (epoch s) to
write. The end of the input ends it.
"""

import asyncio
import datetime
import json
import logging
import sys
from pathlib import Path

from asyncua import Server, ua
from asyncua.common.structures104 import new_enum, new_struct, new_struct_field
from asyncua.crypto.cert_gen import setup_self_signed_certificate
from asyncua.crypto.permission_rules import User, UserRole
from cryptography.x509.oid import ExtendedKeyUsageOID

URI = "urn:acme:line"
logging.disable(logging.CRITICAL)
options = json.loads(sys.argv[1])


class Users:
    def get_user(self, iserver, username=None, password=None, certificate=None):
        users = options.get("users")
        allowed = users is None or (username is not None and users.get(username) == password)
        return User(role=UserRole.User) if allowed else None


async def secure(server):
    folder = Path(options["folder"])
    key, cert = folder / "server-key.pem", folder / "server.der"
    if not cert.exists():
        usage = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        await setup_self_signed_certificate(key, cert, "urn:acme:server", "localhost", usage, {"commonName": "line"})
    policies = ua.SecurityPolicyType
    server.set_security_policy(
        [
            policies.Basic256Sha256_Sign,
            policies.Basic256Sha256_SignAndEncrypt,
            policies.Aes256Sha256RsaPss_Sign,
            policies.Aes256Sha256RsaPss_SignAndEncrypt,
        ]
    )
    await server.load_certificate(str(cert))
    await server.load_private_key(str(key))


async def add_nodes(server, index):
    line = await server.nodes.objects.add_object(ua.NodeId("Line", index), "Line")

    async def add(name, value, kind):
        return await line.add_variable(ua.NodeId(f"Line.{name}", index), name, ua.Variant(value, kind))

    kinds = ua.VariantType
    whole = {"SByte": -5, "Byte": 200, "Int16": -300, "UInt16": 60000, "Int32": -70000, "UInt32": 4000000000}
    for kind, value in whole.items():
        await add(kind, value, kinds[kind])
    await add("Int64", -(2**53) + 1, kinds.Int64)
    await add("UInt64", 2**53 - 1, kinds.UInt64)
    await add("Wide", 2**60 + 1, kinds.Int64)
    await add("Temp", 20.5, kinds.Double)
    await add("Float", 0.5, kinds.Float)
    await add("On", True, kinds.Boolean)
    await add("Text", "RUN", kinds.String)
    await add("Time", datetime.datetime(2026, 5, 1, tzinfo=datetime.timezone.utc), kinds.DateTime)
    await add("Array", [1.5, 2.5, 3.5], kinds.Double)
    matrix = ua.Variant([[1, 2, 3], [4, 5, 6]], kinds.Int32)
    await line.add_variable(ua.NodeId("Line.Matrix", index), "Matrix", matrix)
    await new_struct(server, index, "Axis", [new_struct_field("Position", kinds.Double)])
    fields = [
        new_struct_field("Speed", kinds.Double),
        new_struct_field("Hours", kinds.UInt64),
        new_struct_field("Currents", kinds.Float, array=True),
    ]
    await new_struct(server, index, "Motor", fields)
    await new_enum(server, index, "Mode", ["Stop", "Run"])
    await server.load_data_type_definitions()
    await add("Motor", ua.Motor(Speed=1480.5, Hours=2**40 + 3, Currents=[1.5, 2.5]), kinds.ExtensionObject)
    await add("Mode", ua.Mode.Run, kinds.Int32)
    return await add("Tick", 0, kinds.UInt32)


async def write(server, index, command):
    node = server.get_node(ua.NodeId(f"Line.{command['node']}", index))
    kind = ua.VariantType[command.get("type", "Double")]
    value = command.get("value")
    status = ua.StatusCode(getattr(ua.StatusCodes, command.get("status", "Good")))
    seconds = command.get("time")
    now = datetime.datetime.now(datetime.timezone.utc)
    time = now if seconds is None else datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    variant = ua.Variant(None) if value is None else ua.Variant(float("nan") if value == "nan" else value, kind)
    await server.write_attribute_value(node.nodeid, ua.DataValue(variant, status, time, now))


async def main():
    server = Server(user_manager=Users())
    await server.init()
    await server.set_application_uri("urn:acme:server")
    server.set_endpoint(f"opc.tcp://127.0.0.1:{options['port']}/line")
    if options.get("security"):
        await secure(server)
    else:
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    for uri in options.get("uris", [URI]):
        await server.register_namespace(uri)
    index = await server.get_namespace_index(URI)
    tick = await add_nodes(server, index)

    async def count():
        number = 0
        while True:
            await asyncio.sleep(options["tickMs"] / 1000)
            number += 1
            await tick.write_value(ua.Variant(number, ua.VariantType.UInt32))

    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with server:
        counting = asyncio.create_task(count()) if "tickMs" in options else None
        print("ready", flush=True)
        while line := await reader.readline():
            await write(server, index, json.loads(line))
            print("written", flush=True)
        if counting is not None:
            counting.cancel()


asyncio.run(main())
