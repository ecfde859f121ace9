"""Which ports the local platform takes."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest
from pipeline.errors import LentaError
from pipeline.stack.ports import DEFAULTS, chosen_ports, refuse_taken, variable


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


def test_the_defaults_are_the_documented_ports() -> None:
    assert chosen_ports({}, {}) == DEFAULTS
    assert (DEFAULTS["gateway"], DEFAULTS["console"]) == (8000, 8090)


def test_every_port_is_settable_by_its_variable() -> None:
    wanted = {name: 20_000 + place for place, name in enumerate(DEFAULTS)}
    assert chosen_ports({variable(name): str(port) for name, port in wanted.items()}, {}) == wanted


def test_a_running_service_keeps_its_port_over_the_default() -> None:
    assert chosen_ports({}, {"gateway": 18_000})["gateway"] == 18_000


def test_a_running_service_is_not_moved() -> None:
    with pytest.raises(LentaError, match=r"gateway runs on port 18000; `make down` before moving it to 18001"):
        chosen_ports({"GATEWAY_PORT": "18001"}, {"gateway": 18_000})


@pytest.mark.parametrize("port", ["http", "0", "65536", "-1", "8000.0", "٣"])
def test_a_malformed_port_names_its_variable(port: str) -> None:
    with pytest.raises(LentaError, match="RANKER_TEST_PORT"):
        chosen_ports({"RANKER_TEST_PORT": port}, {})


def test_two_services_on_one_port_are_refused() -> None:
    with pytest.raises(LentaError, match="gateway and console both want port 8000; set CONSOLE_PORT"):
        chosen_ports({"CONSOLE_PORT": "8000"}, {})


def test_a_taken_port_is_named_with_its_service_and_who_holds_it(taken_port: int) -> None:
    expected = rf"port {taken_port} for gateway is taken by .+ \(pid {os.getpid()}\) \(set GATEWAY_PORT\)"
    with pytest.raises(LentaError, match=expected):
        refuse_taken({"gateway": taken_port})
