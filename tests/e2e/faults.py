"""A tenant that follows a script: what to say to which target, in which pieces, and how to break off.

    tenant = scripted({"/half": [b"HTTP/1.1 200 OK\\r\\nContent-Length: 10\\r\\n\\r\\nhalf", CLOSE]})

A step is bytes to send at once, or something to call with the stream."""

import fcntl
import socket
import struct
import termios

from proxy_rig import OK, wait_until


def unread(sock):
    """Bytes written that the other end has not read (unix sockets) or acknowledged (TCP)."""
    return struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, b"\0\0\0\0"))[0]


class Closed(Exception):
    pass


def CLOSE(_):
    raise Closed


def RESET(stream):
    stream.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise Closed


def HALF_CLOSE(stream):
    stream.sock.shutdown(socket.SHUT_WR)


def TAKEN(stream):
    """Wait until the proxy has read all that was sent. Unix sockets only."""
    wait_until(lambda: unread(stream.sock) == 0)


def UNTIL_CLOSED(stream):
    """Read until the proxy is gone."""
    stream.rest()


def delay(event, timeout=20):
    return lambda _: event.wait(timeout)


def pieces(data, size=1):
    """DATA in reads of their own."""
    def step(stream):
        for at in range(0, len(data), size):
            stream.sock.sendall(data[at:at + size])
            TAKEN(stream)
    return step


def scripted(scripts, otherwise=(OK,)):
    """A handler for Tenant that follows the script of the request's target."""
    def handler(stream, request):
        try:
            for step in scripts.get(request.target, otherwise):
                if isinstance(step, bytes):
                    stream.sock.sendall(step)
                else:
                    step(stream)
        except Closed:
            return False
        return None
    return handler
