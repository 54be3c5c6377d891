"""Refuse every connection but to this machine, in each Python process that the tests start.

`tests/conftest.py` puts this folder on PYTHONPATH, so that a child and a notebook's kernel have the
guard too. It is an audit hook of the interpreter: nothing that runs later can take it off. What was
tried is noted in the file that METAHPO_NETWORK_LOG names, for a library that hides the refusal.
"""

import os
import sys


def outside(host):
    """Tell whether a host is another machine; its name alone does not say, so it counts as one."""
    import ipaddress
    import socket

    host = host.decode("ascii", "replace") if isinstance(host, (bytes, bytearray)) else host
    if not host or host in ("localhost", socket.gethostname()):
        return False
    try:
        address = ipaddress.ip_address(str(host).partition("%")[0])
    except ValueError:
        return True
    address = getattr(address, "ipv4_mapped", None) or address
    return not (address.is_loopback or address.is_unspecified)


def guard(event, args):
    """Raise a PermissionError where another machine is asked for."""
    if not event.startswith("socket."):
        return
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        family, address = args[0].family.name, args[1]
        hosts = [address[0]] if family in ("AF_INET", "AF_INET6") and address else []
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        hosts = [args[0]]
    else:
        return
    for host in filter(outside, hosts):
        if os.environ.get("METAHPO_NETWORK_LOG"):
            with open(os.environ["METAHPO_NETWORK_LOG"], "a", encoding="utf-8") as log:
                log.write(f"{event} {host}\n")
        raise PermissionError(f"{event} to {host}: nothing here needs the network")


if not hasattr(sys, "_network_guard"):
    sys._network_guard = True
    sys.addaudithook(guard)
