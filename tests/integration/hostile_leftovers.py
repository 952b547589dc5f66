"""What a hostile action may leave behind, so that the next one goes wrong."""

from __future__ import annotations

from tests.integration.hostile_insides import CONNECT, MACHINERY

LEFTOVERS = {
    "pipes in the place of the tools' files, and an end": """
import os
folder = os.environ['PYTHONPATH'].partition(':')[0]
for name in os.listdir(folder): os.remove(f'{folder}/{name}'); os.mkfifo(f'{folder}/{name}')
os._exit(0)
""",
    "a child that stops its parent over and over": """
import os, signal, time
if os.fork() == 0:
    parent = os.getppid()
    while os.getppid() == parent: os.kill(parent, signal.SIGSTOP); time.sleep(0.001)
    os._exit(0)
""",
    "a child that asks its parent to end, over and over": """
import os, signal, time
if os.fork() == 0:
    parent = os.getppid()
    while os.getppid() == parent: os.kill(parent, signal.SIGTERM)
    os._exit(0)
""",
    "signals that wait": """
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
for number in (1, 3, 10, 12, 14, 15, 40): os.kill(os.getpid(), number)
""",
    "signals with all that is sent": """
import fcntl, os
for fd in (1, 2, 200, 201, 202):
    fcntl.fcntl(fd, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_ASYNC)
""",
    "spare descriptors that lead to nothing": """
import os
null = os.open('/dev/null', os.O_WRONLY); os.dup2(null, 201); os.dup2(null, 202)
""",
    "streams around the bytes of ours": """
import io, sys
sys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding='utf-8')
sys.stderr = io.TextIOWrapper(sys.stderr.buffer, encoding='utf-8')
""",
    "streams that swallow": """
import sys
sys.stdout.write = sys.stderr.write = lambda text: None
""",
    "streams of another code": """
import sys
for s in (sys.stdout, sys.stderr): s.reconfigure(encoding='utf-16', errors='strict')
""",
    "streams with other ends of lines": """
import sys
for s in (sys.stdout, sys.stderr): s.reconfigure(newline='\\r\\n')
""",
    "a profile that sleeps": """
import sys, time
calls = [0]
def profile(*a):
    calls[0] += 1
    if calls[0] > 300: time.sleep(60)
sys.setprofile(profile)
""",
    "a pyplot that lacks everything": """
import sys, types
sys.modules['matplotlib.pyplot'] = sys.modules['matplotlib.figure'] = types.ModuleType('x')
""",
    "a pyplot that ends": """
import sys, types
class Ends(types.ModuleType):
    def __getattr__(self, name): raise SystemExit(name)
sys.modules['matplotlib.pyplot'] = sys.modules['matplotlib.figure'] = Ends('x')
""",
    "a name that compares in its own way": """
class Name(str):
    def __hash__(self): return hash('__planner_value__')
    def __eq__(self, other): raise SystemExit
globals()[Name('x')] = 1
""",
    "a module's name that compares in its own way": """
import sys
class Name(str):
    def __hash__(self): return hash('matplotlib.pyplot')
    def __eq__(self, other): raise SystemExit
sys.modules[Name('x')] = 1
""",
    "builtins of its own": "__builtins__ = {}",
    "an import that ends": """
import builtins
def ends(*a, **k): raise SystemExit
builtins.__import__ = ends
""",
    "a value that ends the process": """
class Ends:
    def __del__(self): __import__('os')._exit(5)
Ends()
""",
    "a value that never lets go": """
class Stays:
    def __del__(self):
        while True: pass
Stays()
""",
    "displays that are not shown": MACHINERY + "engine._gallery._show = lambda *a: None",
    "a line that leads elsewhere": MACHINERY + "engine._line._address = '\\0elsewhere'",
    "its own result, forged so that it grows": MACHINERY
    + 'send(\'{"t":"result","key":"KEY","status":"ok","value":"\' + "é" * 400_000 + \'"}\')',
    "its own result, forged, and its true one": MACHINERY
    + 'send(\'{"t":"result","key":"KEY","status":"ok"}\'); time.sleep(0.2)',
    "calls that are given up": CONNECT
    + """
for n in range(1500):
    s = line(); s.sendall(frame(b'{"name":"wait","args":{}}')); s.close()
""",
    "a call that grows when it is written out": CONNECT
    + """
for text in ('é'.encode() * 500_000, b'\\x7f' * 500_000):
    s = line(); s.sendall(frame(b'{"name":"echo","args":{"x":"' + text + b'"}}')); s.recv(1000)
s = line(); s.sendall(frame(b'{"name":"echo","args":{"x":[' + b'1e15,' * 200_000 + b'1]}}'))
s.recv(1000)
""",
    "a call of countless parts": CONNECT
    + """
s = line(); s.sendall(frame(b'{"name":"echo","args":{"x":[' + b'{},' * 340_000 + b'1]}}'))
s.recv(1000)
""",
    "sockets that linger, handed to PID 1": CONNECT
    + """
import array
server = socket.create_server(('127.0.0.1', 0)); kept = []
for n in range(3):
    c = socket.create_connection(server.getsockname()); kept.append(server.accept()[0])
    try: c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 30_000))
    except OSError as e: print(e)
    c.setblocking(False)
    try:
        while True: c.send(bytes(65536))
    except BlockingIOError: pass
    s = line()
    s.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [c.fileno()]))])
    c.close(); s.close()
""",
}
