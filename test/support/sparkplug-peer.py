"""A peer made with pysparkplug.

`edge PORT`: an edge node acme/line-2 with a device; each input line changes its values by one, the end of the input stops it.
`decode`: reads NBIRTH and then NDATA payloads, one a line in hexadecimal, and prints each as one line of JSON.
`devices`: the same for lines of type, device ('-' for the edge node) and payload.
"""

import json
import sys

from pysparkplug import DataType, DBirth, DData, DDeath, Device, EdgeNode, Metric, NBirth, NData, get_current_timestamp


def metric(name, datatype, value, alias=None):
    return Metric(timestamp=get_current_timestamp(), name=name, datatype=datatype, value=value, alias=alias)


def edge(port):
    def own(step):
        return [metric("Position", DataType.INT32, -12 - step, 1), metric("Running", DataType.BOOLEAN, step % 2 == 1, 2)]

    def device(step):
        return [metric("Pressure", DataType.FLOAT, 1.5 + step, 1), metric("State", DataType.STRING, "RUN", 2)]

    node = EdgeNode("acme", "line-2", own(0))
    node.register(Device("pump-1", device(0)))
    node.connect("127.0.0.1", port=port)
    for step, _ in enumerate(sys.stdin, start=1):
        node.update(own(step))
        node.update_device("pump-1", device(step))
    node.disconnect()


def decode():
    birth = None
    for line in sys.stdin:
        raw = bytes.fromhex(line)
        payload = NBirth.decode(raw) if birth is None else NData.decode(raw, birth=birth)
        birth = birth or payload
        found = {each.name: [each.datatype.name, None if each.is_null else each.value] for each in payload.metrics}
        print(json.dumps({"seq": payload.seq, "metrics": found}), flush=True)


def devices():
    births = {}
    for line in sys.stdin:
        message, device, raw = line.strip().split(" ")
        decoders = {"NBIRTH": NBirth, "DBIRTH": DBirth, "DDATA": DData, "DDEATH": DDeath}
        how = {"birth": births[device]} if message == "DDATA" else {}
        payload = decoders[message].decode(bytes.fromhex(raw), **how)
        if message == "DBIRTH":
            births[device] = payload
        metrics = [] if message == "DDEATH" else payload.metrics
        found = {each.name: [each.datatype.name, None if each.is_null else each.value] for each in metrics}
        print(json.dumps({"seq": payload.seq, "metrics": found}), flush=True)


modes = {"edge": lambda: edge(int(sys.argv[2])), "decode": decode, "devices": devices}
modes[sys.argv[1]]()
