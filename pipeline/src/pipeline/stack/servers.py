"""A real Postgres and a real Redis-protocol server in our own folder, on 127.0.0.1.

Postgres refuses to run as root; there it runs as `postgres` or `nobody`. Where that user cannot reach the
folder or the programs (a checkout under /root), they lie under /var/tmp instead: nobody's permissions are changed.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import psutil

from pipeline.errors import LentaError
from pipeline.home import write_private
from pipeline.stack.binaries import PostgresPrograms, postgres_programs, redis_program
from pipeline.stack.detached import lives, start_detached

REDIS_CONF, POSTGRES_CONF = (Path(__file__).with_name(name) for name in ("redis.conf", "postgresql.conf"))
"""The containers' own, of infra/redis and infra/postgres: links here, files in the wheel."""
HOST = "127.0.0.1"
START_SECONDS = 30.0
OWNER, SERVICES = "lenta", "lenta_services"
"""Postgres' roles: who made the cluster and may do everything, and what the platform's services are."""
WHO_MAY_CONNECT = f"""# Over the loopback interface, with a password. Written at each start.
host all all {HOST}/32 scram-sha-256
"""


@dataclass(frozen=True, slots=True)
class RunningServer:
    url: str
    pid: int
    log: Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True, slots=True)
class PostgresPasswords:
    """Of letters, digits, `-` and `_`. owner: may do everything, and is asked for nothing but to prepare the database;
    services: what the platform works as."""

    owner: str = field(repr=False)
    services: str = field(repr=False)


def start_redis(folder: Path, port: int, password: str, database: int = 0) -> RunningServer:
    """In the background, with the platform's settings. Raises LentaError naming the log when it does not answer."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    log, settings = folder / "redis.log", folder / "redis.conf"
    write_private(settings, f'include "{REDIS_CONF}"\nrequirepass "{password}"\n')
    command = [str(redis_program()), str(settings), "--bind", HOST, "--port", str(port), "--dir", str(folder)]
    pid = start_detached(command, os.environ, log)
    _wait_for_port(port, log, lambda: lives(pid), "Redis")
    return RunningServer(redis_url(port, password, database), pid, log)


def redis_url(port: int | None, password: str, database: int = 0) -> str:
    return f"redis://:{password}@{HOST}:{port}/{database}"


def postgres_url(role: str, password: str, port: int | None, database: str) -> str:
    return f"postgresql://{role}:{password}@{HOST}:{port}/{database}"


def stop_process(pid: int, seconds: float = 10.0) -> None:
    """Asks it to stop, then kills it."""
    try:
        process = psutil.Process(pid)
        process.terminate()
        process.wait(seconds)
    except psutil.NoSuchProcess:
        return
    except psutil.TimeoutExpired:
        process.kill()


class Postgres:
    """One cluster. `folder` is where it should live; `data` where it does."""

    def __init__(self, folder: Path) -> None:
        self._user = _postgres_user()
        programs = postgres_programs()
        self.data = _reachable(folder, self._user) / "data"
        self._programs = _reachable_programs(programs, self._user)
        self.log = self.data.parent / "postgres.log"

    def start(self, port: int, passwords: PostgresPasswords) -> RunningServer:
        """In the background, made anew where there is none. Raises LentaError naming the log when it does not start.

        A cluster that an earlier version made without passwords has them from now on.
        """
        _own_folder(self.data.parent, self._user)
        if not (self.data / "PG_VERSION").exists():
            self._make_cluster()
        self._set_passwords(passwords)
        (self.data / "pg_hba.conf").write_text(WHO_MAY_CONNECT)
        (self.data / "postgresql.conf").write_text(POSTGRES_CONF.read_text())
        options = f"-c listen_addresses={HOST} -c port={port} -c unix_socket_directories={self.data}"
        try:
            self._run("pg_ctl", "-w", "-t", "60", "-D", str(self.data), "-l", str(self.log), "-o", options, "start")
        except subprocess.CalledProcessError as error:
            raise LentaError(f"Postgres did not start; its log: {self.log}\n{_tail(self.log)}") from error
        pid = int((self.data / "postmaster.pid").read_text().split()[0])
        return RunningServer(postgres_url(OWNER, passwords.owner, port, "postgres"), pid, self.log)

    def stop(self) -> None:
        if (self.data / "postmaster.pid").exists():
            self._run("pg_ctl", "-w", "-m", "fast", "-D", str(self.data), "stop")

    def delete(self) -> None:
        """With everything in it. It must not run."""
        shutil.rmtree(self.data.parent, ignore_errors=True)

    def _make_cluster(self) -> None:
        """A cluster that died while it was made is made again."""
        shutil.rmtree(self.data, ignore_errors=True)
        try:
            how = (f"--username={OWNER}", "--auth=reject", "--encoding=UTF8", "--no-locale")
            self._run("initdb", "-D", str(self.data), *how)
        except subprocess.CalledProcessError as error:
            shutil.rmtree(self.data, ignore_errors=True)
            raise LentaError(f"initdb could not make {self.data}: {error.stderr.strip()}") from error

    def _set_passwords(self, passwords: PostgresPasswords) -> None:
        """Before anybody can connect: by a server of one session, which speaks to its input alone."""
        statements = (
            f"ALTER ROLE {OWNER} PASSWORD '{passwords.owner}'",
            f"CREATE ROLE {SERVICES}",  # which says so where there is one
            f"ALTER ROLE {SERVICES} LOGIN NOSUPERUSER PASSWORD '{passwords.services}'",
        )
        try:
            self._run("postgres", "--single", "-D", str(self.data), "postgres", said="\n".join(statements) + "\n")
        except subprocess.CalledProcessError as error:
            raise LentaError(f"Postgres in {self.data} took no passwords: {error.stderr.strip()}") from error

    def _run(self, program: str, *arguments: str, said: str = "") -> None:
        as_user = (
            {} if self._user is None else {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}
        )
        output = subprocess.DEVNULL if program == "pg_ctl" else subprocess.PIPE  # the server inherits pg_ctl's
        subprocess.run(
            [str(self._programs / program), *arguments],
            check=True,
            input=said,
            stdout=output,
            stderr=output,
            text=True,
            cwd="/",
            **as_user,  # type: ignore[call-overload]
        )


def _postgres_user() -> pwd.struct_passwd | None:
    """Whom to become; None where we are not root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return pwd.getpwnam("postgres" if "postgres" in names else "nobody")


def _is_reachable(path: Path, user: pwd.struct_passwd) -> bool:
    """Whether the user may enter every folder on the way to `path`."""
    ways = [folder for folder in path.resolve().parents if folder.exists()]
    return all(folder.stat().st_mode & (0o100 if folder.stat().st_uid == user.pw_uid else 0o001) for folder in ways)


def _reachable(folder: Path, user: pwd.struct_passwd | None) -> Path:
    if user is None or _is_reachable(folder / "data", user):
        return folder
    return Path("/var/tmp") / f"lenta-{sha256(str(folder.resolve()).encode()).hexdigest()[:12]}"


def _reachable_programs(programs: PostgresPrograms, user: pwd.struct_passwd | None) -> Path:
    """The folder of programs, copied to where the user can reach it if need be."""
    if user is None or not programs.wheel or _is_reachable(programs.folder / "postgres", user):
        return programs.folder
    built = (programs.folder / "postgres").stat()
    identity = f"{programs.folder} {built.st_size} {built.st_mtime_ns}"
    copy = Path("/var/tmp") / f"lenta-programs-{sha256(identity.encode()).hexdigest()[:12]}"
    site_packages = programs.wheel[-1].parent
    if not copy.exists():
        half_made = copy.with_suffix(".half")
        shutil.rmtree(half_made, ignore_errors=True)
        for folder in programs.wheel:
            shutil.copytree(folder, half_made / folder.relative_to(site_packages), symlinks=True)
        half_made.rename(copy)
    if copy.stat().st_uid != os.geteuid():
        raise LentaError(f"{copy} belongs to somebody else; remove it and try again")
    return copy / programs.folder.relative_to(site_packages)


def _own_folder(folder: Path, user: pwd.struct_passwd | None) -> None:
    """Raises LentaError when the folder, which may lie where everybody writes, is a link or somebody else's."""
    folder.mkdir(parents=True, exist_ok=True)
    if user is None:
        return
    status = folder.lstat()
    if stat.S_ISLNK(status.st_mode) or status.st_uid not in (os.geteuid(), user.pw_uid):
        raise LentaError(f"{folder} belongs to somebody else; remove it and try again")
    os.chown(folder, user.pw_uid, user.pw_gid, follow_symlinks=False)


def _wait_for_port(port: int, log: Path, lives: Callable[[], bool], name: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and lives():
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
        time.sleep(0.02)
    raise LentaError(f"{name} does not answer on port {port}; its log: {log}\n{_tail(log)}")


def _tail(log: Path, lines: int = 5) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else "(no log)"
