"""Run a script in a fork of a process that has imported its libraries: fork_server.py SOCKET SCRIPT ARGUMENTS...

`fork_server.py --serve SOCKET FILE_DESCRIPTOR` is that process; Snakemake starts it.
"""

import socket
import sys
from pathlib import Path

from nli.launch.fork_server import ask, serve

if __name__ == "__main__":
    if sys.argv[1] == "--serve":
        serve(Path(sys.argv[2]), socket.socket(fileno=int(sys.argv[3])))
    else:
        sys.exit(ask(sys.argv[1], sys.argv[2:]))
