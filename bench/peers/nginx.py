"""nginx as Debian builds it: `proxy_pass` with kept connections, HTTP/1.1, no buffering of answers, no log."""

import os
import shutil
from pathlib import Path

from bench.peers.environments import HOME, output
from bench.peers.peer import PATH, Absent, Launch, Peer, program
from tests.services.locks import locked

_CONFIG = """
daemon off; worker_processes 1; pid master; error_log stderr warn; {user}
events {{ worker_connections 8192; }}
http {{
  access_log off; keepalive_requests 100000000; client_max_body_size 2m; client_body_buffer_size 256k;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  upstream engine {{ server 127.0.0.1:{engine}; keepalive 2048; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://engine; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    }}
  }}
}}
"""


def offer() -> Peer:
    """The system's nginx, or Debian's package unpacked in the cache.

    Raises:
        Absent: there is neither.
    """
    found = shutil.which("nginx", path=PATH)
    binary = Path(found) if found else _unpacked()
    version = output((str(binary), "-v")).strip().rpartition("/")[2]

    def argv(launch: Launch) -> tuple[str | Path, ...]:
        config = launch.home / "nginx.conf"
        user = "user root;" if os.getuid() == 0 else ""
        config.write_text(_CONFIG.format(port=launch.port, engine=launch.engine, user=user))
        return (binary, "-p", launch.home, "-c", config)

    return program("nginx", version, argv)


def _unpacked() -> Path:
    folder = HOME / "nginx"
    binary = folder / "usr/sbin/nginx"
    HOME.mkdir(parents=True, exist_ok=True)
    with locked(HOME / "nginx.lock"):
        if not binary.exists():
            folder.mkdir(exist_ok=True)
            output(("apt-get", "download", "nginx"), start_in=folder)
            for package in folder.glob("nginx_*.deb"):
                output(("dpkg-deb", "--extract", str(package), str(folder)))
    if not binary.exists():
        raise Absent("Debian's package nginx came without usr/sbin/nginx")
    return binary
