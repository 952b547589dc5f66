"""What runs inside the sandbox: a supervisor that owns the stream, and a worker that runs code.

Standard library only, Python 3.11 and later. Nothing here is imported by the application: the
folder is copied into the image, or started as a plain process by the unsafe-host launcher.
"""
