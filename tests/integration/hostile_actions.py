"""Hostile actions by name: what a model, or who has tricked one, may run."""

from __future__ import annotations

FORK_LOOP = "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass"

BOMBS = {
    "forks": FORK_LOOP,
    "forks that ignore signals and leave the session": """
import os, signal
for s in range(1, 65):
    try: signal.signal(s, signal.SIG_IGN)
    except (OSError, ValueError): pass
while True:
    try:
        if os.fork() == 0: os.setsid()
    except OSError: pass
""",
    "children that outlive the action": """
import os, time
for _ in range(40):
    try:
        if os.fork() == 0:
            os.setsid()
            while True: time.sleep(1)
    except OSError: break
'left'
""",
    "threads": """
import threading, time
def f(): time.sleep(1000)
try:
    while True: threading.Thread(target=f, daemon=True).start()
except RuntimeError: pass
'full'
""",
    "memory": "x = []\nwhile True: x.append(bytearray(1 << 24))",
    "memory in one piece": "x = bytearray(10 ** 12)",
    "memory in many children": """
import os
for _ in range(20):
    if os.fork() == 0:
        x = []
        while True: x.append(bytearray(1 << 22))
while True: pass
""",
    "memory by mmap": """
import mmap
x = []
while True:
    m = mmap.mmap(-1, 1 << 25); m.write(b'x' * (1 << 25)); x.append(m)
""",
    "a list from an endless iterator": "list(iter(int, 1))",
    "a number without end": "10 ** 10 ** 10",
    "a pattern that goes back for ever": "import re; re.match(r'(a+)+$', 'a' * 60 + 'b')",
    "disk": """
for place in ('/workspace', '/tmp', '/dev/shm'):
    try:
        with open(place + '/big', 'wb') as f:
            while True: f.write(bytes(1 << 20))
    except OSError as e: print(e)
""",
    "inodes": """
n = 0
for place in ('/workspace', '/tmp'):
    try:
        while True:
            open(f'{place}/{n}', 'w').close(); n += 1
    except OSError as e: print(e)
""",
    "folders within folders": """
import os
for n in range(3000):
    os.mkdir('d'); os.chdir('d')
""",
    "output": "while True: print('x' * 10_000)",
    "output on both streams and descriptors": """
import os, sys
while True:
    os.write(1, b'x' * 65536); os.write(2, b'y' * 65536); print('z')
""",
    "output by children that stay": """
import subprocess
for _ in range(5): subprocess.Popen(['yes'])
'left'
""",
    "displays": """
class P:
    def _repr_png_(self): return bytes(4_000_000)
while True: display(P())
""",
    "open files": "x = []\nwhile True: x.append(open('/dev/null'))",
    "pipes filled and never read": """
import os, fcntl
x = []
try:
    while True:
        r, w = os.pipe(); os.set_blocking(w, False); x.append((r, w))
        try:
            while True: os.write(w, bytes(65536))
        except BlockingIOError: pass
except OSError as e: print(e.errno)
""",
}

DESCRIPTORS = {
    "all closed": "import os; os.closerange(0, 65536)",
    "the streams closed": "import os; os.close(0); os.close(1); os.close(2)",
    "the stream objects closed": "import sys; sys.stdout.close(); sys.stderr.close()",
    "the streams replaced": "import sys; sys.stdout = sys.stderr = sys.stdin = None",
    "the streams made not to wait": "import os; [os.set_blocking(n, False) for n in (1, 2)]",
    "all made not to wait": """
import os
for n in range(1024):
    try: os.set_blocking(n, False)
    except OSError: pass
print('x' * 1_000_000)
""",
    "all led to nothing": """
import os
null = os.open('/dev/null', os.O_RDWR)
for n in range(1024):
    if n != null:
        try: os.fstat(n)
        except OSError: continue
        os.dup2(null, n)
""",
    "noise to all": """
import os
for n in range(3, 1024):
    try: os.set_blocking(n, False); os.write(n, os.urandom(5000))
    except OSError: pass
""",
    "a forged result": """
import json, os, struct
for number in range(200):
    text = json.dumps({'t': 'result', 'id': number, 'status': 'ok', 'value': 'forged'}).encode()
    for n in range(3, 1024):
        try: os.write(n, struct.pack('>II', len(text), 0) + text)
        except OSError: pass
while True: pass
""",
    "a flood of frames": """
import os, struct
text = b'{"t":"display","id":3,"mime":"image/png"}'
piece = struct.pack('>II', len(text), 1 << 20) + text + bytes(1 << 20)
while True:
    for n in range(3, 1024):
        try: os.write(n, piece)
        except OSError: pass
""",
    "a header that lies": """
import os
for n in range(3, 1024):
    try: os.write(n, b'\\xff' * 8)
    except OSError: pass
while True: pass
""",
    "sockets shut": """
import os, socket
for n in range(3, 1024):
    try: socket.socket(fileno=n).shutdown(2)
    except OSError: pass
""",
}

SIGNALS = {
    "all blocked": "import signal; signal.pthread_sigmask(0, range(1, 65))\nwhile True: pass",
    "all ignored": """
import signal
for s in range(1, 65):
    try: signal.signal(s, signal.SIG_IGN)
    except (OSError, ValueError): pass
while True: pass
""",
    "a handler that raises": """
import signal
def f(*a): raise MemoryError
for s in range(1, 65):
    try: signal.signal(s, f)
    except (OSError, ValueError): pass
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
""",
    "a storm on itself": """
import os, signal
if os.fork() == 0:
    parent = os.getppid()
    while os.getppid() == parent:
        try: os.kill(parent, signal.SIGINT)
        except OSError: break
    os._exit(0)
while True:
    try:
        while True: pass
    except KeyboardInterrupt: pass
""",
    "a storm that goes on after the action": """
import os, signal, time
for n in range(5):
    if os.fork() == 0:
        os.setsid(); parent = os.getppid()
        while True:
            try: os.kill(parent, signal.SIGINT)
            except OSError: os._exit(0)
'left'
""",
    "a stop": "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)",
    "every process killed": "import os; os.kill(-1, 9)",
    "every process stopped": "import os; os.kill(-1, 19)",
    "every number killed": """
import os
for n in range(1, 40000):
    if n != os.getpid():
        try: os.kill(n, 9)
        except OSError: pass
""",
    "every signal to PID 1": """
import os
for s in range(1, 65):
    try: os.kill(1, s)
    except OSError: pass
""",
    "an alarm that kills later": "import signal; signal.setitimer(signal.ITIMER_REAL, 0.05); 1",
    "a profile timer": "import signal; signal.setitimer(signal.ITIMER_PROF, 0.01, 0.01); 1",
    "children that end in masses": """
import os
for _ in range(300):
    try:
        if os.fork() == 0: os._exit(0)
    except OSError: break
""",
}

ENDS = {
    "exit": "import os; os._exit(0)",
    "abort": "import os; os.abort()",
    "a segfault": "import ctypes; ctypes.memset(0, 1, 1)",
    "a segfault in a thread": """
import ctypes, threading
t = threading.Thread(target=ctypes.string_at, args=(1,)); t.start(); t.join()
""",
    "a stack that overflows in C": """
import sys
sys.setrecursionlimit(10 ** 9)
def f(n): return f(n + 1)
f(0)
""",
    "code objects that lie": """
f = lambda: 0
f.__code__ = f.__code__.replace(co_code=b'\\xff' * 100)
f()
""",
    "exec of another program": "import os; os.execvp('sleep', ['sleep', '1000'])",
    "exec of a program that ends": "import os; os.execvp('true', ['true'])",
    "exits in threads": """
import os, threading
for _ in range(10): threading.Thread(target=os._exit, args=(1,)).start()
""",
    "an end that comes later": """
import os, threading
threading.Timer(0.05, os._exit, [9]).start()
""",
    "an exception that is no exception": "raise 5",
    "a finaliser that raises": "class X:\n    def __del__(self): raise SystemExit\nx = X(); del x",
    "an atexit": "import atexit, os; atexit.register(os.abort); raise SystemExit",
}
