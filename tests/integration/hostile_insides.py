"""Hostile actions against the machinery in their own process, and against the tools' socket."""

from __future__ import annotations

MACHINERY = """
import gc, os, struct, sys, time
guest = [o for o in gc.get_objects() if type(o).__module__.startswith('_planner_guest')]
worker, engine = (next(o for o in guest if type(o).__name__ == n) for n in ('Worker', 'Engine'))
def lie(*a, **k): return {'status': 'ok', 'value': 'a lie'}
def send(text):
    text = text.replace('KEY', worker._key).encode()
    os.write(worker._channel.fd, struct.pack('>II', len(text), 0) + text)
    time.sleep(0.1)
"""
"""What gives an action hold of the session's own objects."""

PATCHES = {
    "the engine's class patched": MACHINERY + "type(engine).run_action = lie",
    "the engine's code replaced": MACHINERY
    + """
def lie(self, source, *, rescan): return {'status': 'ok', 'value': 'a lie'}
type(engine).run_action.__code__ = lie.__code__
""",
    "the engine itself patched": MACHINERY + "engine.run_action = lie",
    "the worker itself patched": MACHINERY + "worker._perform = lie",
    "the engine replaced": MACHINERY
    + "class E: run_action = staticmethod(lie)\nworker._engine = E()",
    "its own result forged": MACHINERY
    + 'send(\'{"t":"result","key":"KEY","status":"ok","value":"a lie"}\')',
    "its own result forged beyond measure": MACHINERY
    + 'send(\'{"t":"result","key":"KEY","status":"ok","value":\' + "[" * 5000 + "]" * 5000 + "}")',
    "its own result forged with numbers that are none": MACHINERY
    + 'send(\'{"t":"result","key":"KEY","status":"ok","value":1e999}\')',
    "an audit hook that refuses all": """
import sys
def refuse(event, args):
    if event in ('compile', 'exec', 'import'): raise RuntimeError('no')
sys.addaudithook(refuse)
""",
    "a trace function that fails": "import sys; sys.settrace(lambda *a: 1/0)",
    "the lines' cache gone": "import linecache; linecache.cache = None",
    "the folder's listing gone": "import os; os.scandir = None",
    "the output detached": "import sys; sys.stdout.detach()",
    "the builtins cleared": "import builtins; builtins.__dict__.clear()",
    "the builtins broken": """
import builtins
for n in list(vars(builtins)):
    if n not in ('vars', 'list', 'setattr'): setattr(builtins, n, None)
""",
    "the modules cleared": "import sys; sys.modules.clear()",
    "the guest's modules broken": """
import sys, types
for name, module in list(sys.modules.items()):
    if 'guest' in name:
        for key in list(vars(module)): setattr(module, key, None)
""",
    "the guest's classes broken": """
import gc
for thing in gc.get_objects():
    if isinstance(thing, type) and 'guest' in (thing.__module__ or ''):
        for key in list(vars(thing)):
            try: setattr(thing, key, lambda *a, **k: 'patched')
            except (TypeError, AttributeError): pass
""",
    "the guest's objects broken": """
import gc
for thing in gc.get_objects():
    if 'guest' in type(thing).__module__:
        for key in list(getattr(thing, '__dict__', ())):
            try: setattr(thing, key, None)
            except (TypeError, AttributeError): pass
""",
    "every frame's globals cleared": """
import sys
frame = sys._getframe(1)
while frame is not None:
    back = frame.f_back; frame.f_globals.clear(); frame = back
""",
    "every frame's names set to nothing": """
import sys
frame = sys._getframe(1)
while frame is not None:
    for n in list(frame.f_globals): frame.f_globals[n] = None
    frame = frame.f_back
""",
    "json and os broken": """
import json, json.encoder, json.decoder, os, struct, io, signal, time
json.JSONEncoder.encode = json.JSONDecoder.decode = None
os.read = os.write = os.getpid = os._exit = os.dup2 = None
signal.signal = signal.pthread_sigmask = time.monotonic = None
""",
    "a trace that raises": """
import sys, threading
def f(*a): raise RuntimeError('traced')
threading.settrace(f); threading.setprofile(f); sys.setprofile(f); sys.settrace(f)
""",
    "an audit hook that raises": """
import sys
def f(*a): raise RuntimeError('audited')
sys.addaudithook(f)
""",
    "a finder that raises": """
import sys
class F:
    def find_spec(self, *a): raise RuntimeError('found')
sys.meta_path[:] = [F()]; sys.path[:] = []; sys.path_hooks[:] = []
""",
    "no depth left": "import sys; sys.setrecursionlimit(30)",
    "no switching": "import sys, gc; sys.setswitchinterval(1e6); gc.disable(); gc.freeze()",
    "the globals cleared": "globals().clear()",
    "the main module gone": "import sys; del sys.modules['__main__']; sys.modules['builtins'] = 5",
    "the environment gone": "import os; os.environ.clear(); os.umask(0o777)",
    "the working folder gone": "import os; os.mkdir('x'); os.chdir('x'); os.rmdir('../x')",
    "the working folder elsewhere": "import os; os.chdir('/proc/self/fd')",
    "the loop closed": """
import asyncio
asyncio.get_running_loop().stop()
await asyncio.sleep(0)
asyncio.get_running_loop().close()
""",
    "the loop's policy broken": "import asyncio as a; a.new_event_loop = None; a.Task = None",
    "no descriptors allowed": "import resource as r; r.setrlimit(r.RLIMIT_NOFILE, (0, 0))",
    "no memory allowed": "import resource as r; r.setrlimit(r.RLIMIT_AS, (1 << 20, 1 << 20))",
    "no file size allowed": "import resource as r; r.setrlimit(r.RLIMIT_FSIZE, (0, 0))",
    "no processor time": "import resource as r; r.setrlimit(0, (1, 1))\nwhile True: pass",
    "no stack": "import resource as r; r.setrlimit(r.RLIMIT_STACK, (4096, 4096))",
    "modules of the same names": """
for n in ('json', 'os', 'frames', 'traceback', 'linecache', 'pickle', 'reprlib', 'tarfile'):
    open(n + '.py', 'w').write('raise SystemExit(5)')
import sys; sys.path.insert(0, ''); sys.path.insert(0, '/workspace')
[sys.modules.pop(n, None) for n in ('json', 'traceback', 'linecache', 'pickle', 'reprlib')]
1/0
""",
    "all that gc can see": """
import gc
for thing in gc.get_objects():
    if type(thing) is dict and thing is not globals():
        try: thing.clear()
        except Exception: pass
""",
}

CONNECT = """
import socket, struct, time
def line():
    s = socket.socket(socket.AF_UNIX); s.settimeout(5); s.connect('\\0planner-tools'); return s
def frame(text, blob=b''): return struct.pack('>II', len(text), len(blob)) + text + blob
"""

TOOLS = {
    "240 half-open connections": CONNECT
    + """
held = []
for n in range(240):
    try: held.append(line()); held[-1].sendall(b'\\0')
    except OSError: break
echo(1)
""",
    "a connection that lies about its size": CONNECT
    + "s = line(); s.sendall(b'\\xff' * 8 + bytes(100_000)); s.recv(100)",
    "an endless call": CONNECT
    + """
s = line(); s.sendall(struct.pack('>II', 1_000_000, 0))
try:
    while True: s.sendall(bytes(65536))
except OSError: pass
""",
    "a slow drip": CONNECT
    + """
s = line()
for byte in frame(b'{"name":"echo","args":{"x":1}}')[:-1]:
    s.sendall(bytes([byte])); time.sleep(0.01)
echo(2)
""",
    "unread replies": CONNECT
    + """
held = []
for n in range(30):
    s = line(); held.append(s); s.sendall(frame(b'{"name":"give_bytes","args":{"n":8000000}}'))
time.sleep(0.3)
echo(3)
""",
    "calls of tools that there are not": CONNECT
    + """
for name in (b'nothing', b'', b'__class__', b'x' * 5000, b'\\\\u0000', b'../echo'):
    s = line(); s.sendall(frame(b'{"name":"' + name + b'","args":{}}')); s.recv(1000)
""",
    "calls of wrong types": CONNECT
    + """
for text in (b'[]', b'5', b'{}', b'{"name":5,"args":{}}', b'{"name":"echo","args":[]}',
             b'{"name":"echo"}', b'{"name":"echo","args":{"x":' + b'[' * 50000 + b'}}',
             b'{"name":"echo","args":{"x":' + b'9' * 50000 + b'}}', b'\\xff\\xfe'):
    s = line()
    try: s.sendall(frame(text)); s.recv(1000)
    except OSError: pass
""",
    "calls with numbers that are none": CONNECT
    + """
for text in (b'NaN', b'-Infinity', b'1e999', b'[1e400]', b'1' + b'0' * 5000, b'-', b'1.'):
    s = line(); s.sendall(frame(b'{"name":"echo","args":{"x":' + text + b'}}')); s.recv(1000)
""",
    "calls nested to every depth": CONNECT
    + """
for depth in (10, 100, 300, 900, *range(950, 1050, 3), 3000, *range(9800, 10_200, 20), 50_000):
    s = line(); x = b'[' * depth + b']' * depth
    s.sendall(frame(b'{"name":"echo","args":{"x":' + x + b'}}')); s.recv(1000)
""",
    "two calls on one connection": CONNECT
    + 's = line(); s.sendall(frame(b\'{"name":"wait","args":{}}\') * 50); s.recv(1000)',
    "a forged end of the action": CONNECT
    + 's = line(); s.sendall(frame(b\'{"name":"echo","args":{},"end":true,"id":1,"t":"bye"}\'))',
    "a storm of connections": CONNECT
    + """
for n in range(3000):
    try: line().close()
    except OSError: pass
echo(4)
""",
    "calls from many children that die": CONNECT
    + """
import os
for n in range(20):
    if os.fork() == 0:
        s = line(); s.sendall(frame(b'{"name":"wait","args":{}}')); os._exit(0)
for n in range(20): os.wait()
echo(5)
""",
    "the socket's name taken": """
import socket
s = socket.socket(socket.AF_UNIX)
try: s.bind('\\0planner-tools')
except OSError as e: print(e)
""",
}
